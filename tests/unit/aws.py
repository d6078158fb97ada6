"""Stores in the test's process: moto answers in place of AWS, in milliseconds.

moto is wrong about concurrent updates, conflicts of transactions, streams and IAM. Tests of those run on the emulator:
see tests/emulator and tests/integration.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any

import boto3
import pytest
import requests
from moto import mock_aws

from opencode_cloud.kit import aws
from opencode_cloud.kit.aws_api.connections import Answer, Connections
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.dynamodb.protocol import CONTENT_TYPE
from tests.tables import create_table
from tests.waiting import PATIENCE

REGION = "us-east-1"
ONE_AT_A_TIME = RLock()
"""moto loses writes of threads. Two that add the first rows of a partition can each make its dictionary of rows."""
MAKERS = {
    name: getattr(aws, name).__wrapped__
    for name in ("dynamodb", "kms", "lambda_", "s3", "s3_transfers", "secrets_manager", "ses", "sqs")
}
"""Functions of ``kit.aws`` that make a client, without their cache."""


@cache
def by_boto3(service: str) -> Any:
    """Return boto3's client of a service, for what only tests do. Creating one takes longer than fifty calls."""
    return boto3.client(service, region_name=REGION)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownMemberType]


class Cloud:
    """An empty AWS account in this process, with methods to read it."""

    def table(self, name: str) -> str:
        """Create a table that infra/tables.py declares; return its name."""
        return create_table(by_boto3("dynamodb"), name, name)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of ``table``."""
        return list(by_boto3("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"])

    def bucket(self, name: str, *, versioned: bool = False) -> str:
        """Create a bucket and return its name."""
        by_boto3("s3").create_bucket(Bucket=name)
        if versioned:
            by_boto3("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def queue(self, name: str) -> str:
        """Create a queue and return its URL."""
        return by_boto3("sqs").create_queue(QueueName=name)["QueueUrl"]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take up to ten messages from ``queue``."""
        answer: Any = by_boto3("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return answer.get("Messages", [])


class InProcessDynamoDB(AsyncDynamoDB):
    """The event loop's client of DynamoDB with `requests` as transport, because moto does not intercept aiohttp."""

    async def _send(self, operation: str, body: bytes) -> tuple[int, bytes, str]:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "content-type": CONTENT_TYPE}
        with ONE_AT_A_TIME:
            response = requests.post(self._url, data=body, headers=headers, timeout=PATIENCE)  # noqa: ASYNC210 - nothing to wait for
        return response.status_code, response.content, ""


def exchange(connections: Connections, method: str, head: bytes, body: bytes = b"") -> Answer:
    """Send a request of our clients through `requests`, which moto intercepts."""
    line, *fields = head.decode().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields if field)
    del headers["content-length"]
    url = f"https://{connections.host}{line.split(' ')[1]}"
    with (
        ONE_AT_A_TIME,
        requests.request(method, url, data=body, headers=headers, timeout=PATIENCE, stream=True) as response,
    ):
        content: bytes = response.raw.read(decode_content=False)  # a stored gzip object stays as it is
    return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, content)


@cache
def client(name: str) -> Any:
    """Return a client that calls only moto."""
    return MAKERS[name]()


@contextmanager
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Yield an empty account, which all clients of ``kit.aws`` use until the end of the block."""
    for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setattr(Connections, "exchange", exchange)
    with mock_aws():
        credential_source().renew()  # moto sets its own in the environment
        for name in MAKERS:
            monkeypatch.setattr(aws, name, lambda name=name: client(name))
        yield Cloud()
