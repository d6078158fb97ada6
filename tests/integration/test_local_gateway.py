"""The gateway beside the emulator: only the front door reaches it, and it has the rights of the deployed function."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.gateway import LocalGateway
from local.stack import LocalStack
from tests.waiting import PATIENCE

pytestmark = pytest.mark.xdist_group("gateway")

HEALTH = "/zen/v1/health"
DENIED = ("AccessDenied", "AccessDeniedException", "AccessDeniedError")
MAY = {
    "read people",
    "read sessions",
    "write budgets and usage events",
    "delete reservations",
    "record the use of a key",
    "read the event of a call",
    "read the keys of upstreams",
    "read the origin's secret",
    "read signing keys",
}
"""The members of :func:`attempts` that the gateway may do. Everything else must be refused."""


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_front_door_leads_to_it_and_no_way_around(stack: LocalStack) -> None:
    assert status(stack.url + HEALTH) == 200
    assert status(stack.gateway.url + HEALTH) == 200
    assert status(stack.gateway.url + "/zen/v1/models") == 403
    assert status(stack.url + "/zen/v1/models") != 403


@pytest.fixture
def session(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """Return a session with the credentials of the gateway's process."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(stack.state / "gateway.aws"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.emulator_url)
    for name in [name for name in os.environ if name.startswith("AWS_") and ("KEY" in name or "TOKEN" in name)]:
        monkeypatch.delenv(name)
    return boto3.Session(profile_name="gateway", region_name="us-east-1")


def attempts(session: boto3.Session, out: dict[str, str]) -> dict[str, Any]:
    """Return the attempts, by the words of :data:`MAY`."""

    def client(service: str) -> Any:
        return session.client(service, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]

    key = {"pk": {"S": "nobody"}, "sk": {"S": "NOTHING"}}
    budgets, usage = out["BudgetsTableName"], out["UsageTableName"]
    signing, credentials = out["SigningKeyArns"].split(",")[0], out["CredentialsKeyArn"]

    def transact(*actions: Any) -> Any:
        return client("dynamodb").transact_write_items(TransactItems=list(actions))

    def secret(name: str) -> Any:
        return client("secretsmanager").get_secret_value(SecretId=out[name])

    def update(table: str, pk: str) -> Any:
        return client("dynamodb").update_item(
            TableName=table,
            Key={"pk": {"S": pk}},
            UpdateExpression="SET noted = :n",
            ExpressionAttributeValues={":n": {"N": "1"}},
        )

    return {
        "read people": lambda: client("dynamodb").get_item(TableName=out["AccessTableName"], Key=key),
        "read sessions": lambda: client("dynamodb").get_item(
            TableName=out["SessionsTableName"], Key={"pk": {"S": "nobody"}}
        ),
        "write budgets and usage events": lambda: transact(
            {"Put": {"TableName": budgets, "Item": key}}, {"Put": {"TableName": usage, "Item": key}}
        ),
        "delete reservations": lambda: transact({"Delete": {"TableName": budgets, "Key": key}}),
        "read the event of a call": lambda: client("dynamodb").batch_get_item(RequestItems={usage: {"Keys": [key]}}),
        "record the use of a key": lambda: update(out["SessionsTableName"], "key_use#nobody"),
        "read the keys of upstreams": lambda: secret("UpstreamKeysSecretArn"),
        "read the origin's secret": lambda: secret("OriginSecretArn"),
        "read signing keys": lambda: client("kms").get_public_key(KeyId=signing),
        "write people": lambda: client("dynamodb").put_item(TableName=out["AccessTableName"], Item=key),
        "read all usage": lambda: client("dynamodb").scan(TableName=usage),
        "delete usage events": lambda: client("dynamodb").delete_item(TableName=usage, Key=key),
        "read shares": lambda: client("dynamodb").get_item(TableName=out["SharesTableName"], Key=key),
        "read the operator's secret": lambda: secret("AdminSecretArn"),
        "read the console's key": lambda: secret("ConsoleKeySecretArn"),
        "sign tokens": lambda: client("kms").sign(
            KeyId=signing, Message=b"x", SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256"
        ),
        "seal credentials": lambda: client("kms").generate_data_key(KeyId=credentials, KeySpec="AES_256"),
        "send messages": lambda: client("sqs").send_message(QueueUrl=out["AlertsQueueUrl"], MessageBody="{}"),
        "become another": lambda: client("iam").list_roles(),
    }


def is_allowed(attempt: Any) -> bool:
    try:
        attempt()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code", "") not in DENIED:
            raise
        return False
    return True


def test_it_may_do_what_it_does_and_nothing_else(stack: LocalStack, session: boto3.Session) -> None:
    assert "assumed-role" in session.client("sts").get_caller_identity()["Arn"]
    granted = {words for words, attempt in attempts(session, stack.outputs).items() if is_allowed(attempt)}
    assert granted == MAY


@pytest.fixture
def second(stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalGateway]:
    """Run another gateway of the same stage, with two processes."""
    monkeypatch.setenv("GATEWAY_WORKERS", "2")
    gateway = LocalGateway(tmp_path, stack.root)
    gateway.choose_port(None)
    described = stack.client("lambda").get_function_configuration(FunctionName=stack.outputs["GatewayFunctionName"])
    gateway.start(described, stack.client_settings())
    yield gateway
    gateway.program.kill()


def test_several_processes_serve_one_port_and_none_is_left_running(second: LocalGateway) -> None:
    assert status(second.url + HEALTH) == 200
    assert second.program.pid is not None
    processes = psutil.Process(second.program.pid).children(recursive=True)
    assert len([process for process in processes if "spawn_main" in " ".join(process.cmdline())]) == 2
    second.program.stop()
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    assert not alive


def test_what_only_it_may_know_is_nobody_else_s_to_read(stack: LocalStack, second: LocalGateway) -> None:
    for config in (stack.state / "gateway.aws", second.program.log.parents[1] / "gateway.aws"):
        assert config.stat().st_mode & 0o077 == 0
