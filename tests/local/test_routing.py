"""Calls of DynamoDB reach their service directly; requests of other services are still told apart."""

import json
import urllib.error
import urllib.request

import pytest

from local.emulator.routing import is_dynamodb
from tests.ministack import Emulator
from tests.waiting import PATIENCE

CALL = {"host": "127.0.0.1:4566", "x-amz-target": "DynamoDB_20120810.PutItem"}


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "localhost"])
def test_a_call_is_told_by_its_target(host: str) -> None:
    assert is_dynamodb("POST", "/", {**CALL, "host": host})


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", CALL),
        ("POST", "/_aws/execute-api/one/v1", CALL),
        ("POST", "/", {**CALL, "host": "one.execute-api.localhost:4566"}),
        ("POST", "/", {**CALL, "host": "bucket.s3.localhost:4566"}),
        ("POST", "/", {**CALL, "x-amz-target": "DynamoDBStreams_20120810.GetRecords"}),
        ("POST", "/", {**CALL, "x-amz-target": "secretsmanager.GetSecretValue"}),
        ("POST", "/", {"host": "127.0.0.1:4566"}),
    ],
)
def test_a_request_of_another_service_is_none(method: str, path: str, headers: dict[str, str]) -> None:
    assert not is_dynamodb(method, path, headers)


def test_the_target_of_a_call_opens_no_other_address(emulator: Emulator) -> None:
    """A page of the emulator answers as it does without the header, since its path is not that of a call."""
    url = f"{emulator.url}/_ministack/health"
    request = urllib.request.Request(url, headers={"x-amz-target": CALL["x-amz-target"]})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert "services" in json.load(answer)


@pytest.mark.parametrize(
    "authorization", ["", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request"]
)
def test_a_call_without_a_valid_signature_is_refused(emulator: Emulator, authorization: str) -> None:
    headers = {"x-amz-target": "DynamoDB_20120810.ListTables", "authorization": authorization}
    headers = {name: value for name, value in headers.items() if value}
    request = urllib.request.Request(emulator.url, data=b"{}", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)
    with refused.value as answer:
        assert answer.status in (400, 403)
        assert "Table" not in answer.read().decode()
