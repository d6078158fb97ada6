"""IAM judges each request by the policies as they are, although it parses each of them once."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.deployment import REGION
from tests.ministack import Emulator


def policy(effect: str, *actions: str, **more: Any) -> str:
    statement = {"Effect": effect, "Action": actions, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def role(emulator: Emulator) -> str:
    """Return the ARN of a role without policies."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    return emulator.client("iam").create_role(RoleName="one", AssumeRolePolicyDocument=document)["Role"]["Arn"]


def assumed(emulator: Emulator, role: str, service: str) -> Any:
    """Return a client that has the role."""
    given = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    make: Any = boto3.client
    return make(service, endpoint_url=emulator.url, region_name=REGION, **keys)


def test_a_changed_policy_holds_for_the_next_request(emulator: Emulator, role: str) -> None:
    iam, queues = emulator.client("iam"), assumed(emulator, role, "sqs")
    iam.put_role_policy(RoleName="one", PolicyName="p", PolicyDocument=policy("Allow", "sqs:CreateQueue"))
    queues.create_queue(QueueName="first")
    with pytest.raises(ClientError, match="AccessDenied"):
        queues.list_queues()
    iam.put_role_policy(
        RoleName="one", PolicyName="p", PolicyDocument=policy("Allow", "sqs:CreateQueue", "sqs:ListQueues")
    )
    assert len(queues.list_queues()["QueueUrls"]) == 1
    iam.put_role_policy(RoleName="one", PolicyName="q", PolicyDocument=policy("Deny", "sqs:ListQueues"))
    with pytest.raises(ClientError, match="AccessDenied"):
        queues.list_queues()


def test_a_policy_of_a_resource_knows_its_caller(emulator: Emulator, role: str) -> None:
    iam, root = emulator.client("iam"), emulator.client("sqs")
    iam.put_role_policy(RoleName="one", PolicyName="p", PolicyDocument=policy("Allow", "sqs:SendMessage"))
    url = root.create_queue(QueueName="closed")["QueueUrl"]
    queues = assumed(emulator, role, "sqs")
    queues.send_message(QueueUrl=url, MessageBody="one")
    denied = policy("Deny", "sqs:SendMessage", Principal={"AWS": role})
    root.set_queue_attributes(QueueUrl=url, Attributes={"Policy": denied})
    with pytest.raises(ClientError, match="AccessDenied"):
        queues.send_message(QueueUrl=url, MessageBody="two")
    root.send_message(QueueUrl=url, MessageBody="three")
