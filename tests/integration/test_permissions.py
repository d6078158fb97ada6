"""Each function's deployed role allows the actions that it needs, and refuses the rest."""

from __future__ import annotations

import hashlib
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.integration.publisher import Publisher, part

FUNCTIONS = ("Share", "Live", "Deliver", "Snapshot", "Purge")
ALLOWED = {
    "Share": {
        *("read rows", "write rows", "delete many rows", "read objects", "write objects"),
        *("session key", "operator's secret", "purge"),
    },
    "Live": {"read rows", "write rows", "delete many rows", "read objects", "write objects"},
    "Deliver": {"read rows", "write rows", "delete many rows", "read objects", "write objects", "list versions"},
    "Snapshot": {"read rows", "read objects", "write objects"},
    "Purge": {"read rows", "write rows", "purge", "delete many rows", "list versions"},
}
"""The members of :func:`attempts` that each function may do. Everything else must be refused."""


@pytest.fixture(scope="module", autouse=True)
def share(stack: Any) -> Publisher:
    """Create, follow and remove a share, so that every function has run under its role."""
    share = Publisher.create(stack.url)
    share.must_sync(part("1"))
    for name in FUNCTIONS:
        payload = b'{"source":"schedule"}' if name == "Purge" else b'{"Records":[]}'
        stack.client("lambda").invoke(FunctionName=f"{stack.outputs[f'{name}FunctionName']}:live", Payload=payload)
    return share


def as_function(stack: Any, name: str, service: str) -> Any:
    """Return a client with the credentials that the emulator gives to a function: those of a session of its role."""
    describe = stack.client("lambda").get_function_configuration
    function = stack.outputs[f"{name}FunctionName"]
    live = describe(FunctionName=function, Qualifier="live")
    base = describe(FunctionName=function)["FunctionArn"]
    for arn in (base, f"{base}:{live['Version']}", f"{base}:live"):
        settings = stack.client_settings() | credentials(arn, live["Role"])
        try:
            boto3.client("sts", **settings).get_caller_identity()  # type: ignore[call-overload]
        except ClientError:
            continue
        return boto3.client(service, **settings)  # type: ignore[call-overload]
    raise AssertionError(f"{name} has not run under its role")


def credentials(function_arn: str, role_arn: str) -> dict[str, str]:
    digest = hashlib.sha256(f"{function_arn}:{role_arn}".encode()).hexdigest()
    return {
        "aws_access_key_id": f"ASIA{digest[:16].upper()}",
        "aws_secret_access_key": hashlib.sha256(f"secret:{digest}".encode()).hexdigest(),
        "aws_session_token": hashlib.sha256(f"token:{digest}".encode()).hexdigest(),
    }


def attempts(stack: Any, name: str) -> dict[str, Any]:
    """Return the attempts, by the words of :data:`ALLOWED`."""
    out = stack.outputs
    key = {"pk": {"S": "nobody"}, "sk": {"S": "META"}}

    def rows() -> Any:
        return as_function(stack, name, "dynamodb")

    def objects() -> Any:
        return as_function(stack, name, "s3")

    def secrets() -> Any:
        return as_function(stack, name, "secretsmanager")

    table, bucket = out["SharesTableName"], out["SharesBucketName"]
    return {
        "read rows": lambda: rows().get_item(TableName=table, Key=key),
        "write rows": lambda: rows().put_item(TableName=table, Item={**key, "ttl": {"N": "1"}}),
        "delete many rows": lambda: rows().batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": key}}]}),
        "scan rows": lambda: rows().scan(TableName=table),
        "delete the table": lambda: rows().delete_table(TableName=table),
        "read objects": lambda: objects().get_object(Bucket=bucket, Key="shares/nobody/x"),
        "write objects": lambda: objects().put_object(Bucket=bucket, Key="shares/nobody/x", Body=b""),
        "write elsewhere": lambda: objects().put_object(Bucket=bucket, Key="other/x", Body=b""),
        "delete the bucket": lambda: objects().delete_bucket(Bucket=bucket),
        "session key": lambda: secrets().get_secret_value(SecretId=out["SessionKeySecretArn"]),
        "operator's secret": lambda: secrets().get_secret_value(SecretId=out["AdminSecretArn"]),
        "purge": lambda: as_function(stack, name, "sqs").send_message(
            QueueUrl=out["PurgeQueueUrl"], MessageBody='{"share":"nobody","round":2}'
        ),
        "list versions": lambda: objects().list_object_versions(Bucket=bucket, Prefix="shares/nobody/"),
        "invoke purge": lambda: as_function(stack, name, "lambda").invoke(FunctionName=out["PurgeFunctionName"]),
        "become another": lambda: as_function(stack, name, "iam").list_roles(),
    }


def is_allowed(attempt: Any) -> bool:
    try:
        attempt()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("AccessDenied", "AccessDeniedException", "AccessDeniedError"):
            return False
        assert code in ("NoSuchKey", "404"), code
    return True


MAY_ALSO = {"Share": {"list versions"}, "Snapshot": {"list versions"}}
"""A snapshot or document may have been written during a removal. The function must remove all of its versions."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_do_what_it_needs_and_nothing_else(stack: Any, name: str) -> None:
    granted = {words for words, attempt in attempts(stack, name).items() if is_allowed(attempt)}
    assert granted == ALLOWED[name] | MAY_ALSO.get(name, set())
