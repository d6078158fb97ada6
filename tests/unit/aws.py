"""Stores in the test's process: moto answers in place of AWS, in milliseconds.

moto is wrong about concurrent updates, conflicts of transactions, streams and IAM. Tests of those run on the emulator:
see tests/emulator and tests/integration.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import msgspec
import pytest
import requests
from moto import mock_aws

from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import CONTENT_TYPE, DynamoDB
from tests.tables import create_table

REGION = "us-east-1"
MAKERS = {name: getattr(aws, name).__wrapped__ for name in ("dynamodb", "kms", "s3", "secrets_manager", "ses", "sqs")}
"""Functions of ``kit.aws`` that make a client, without their cache."""


class Cloud:
    """An empty AWS account in this process, with methods to read it."""

    def table(self, name: str) -> str:
        """Create a table that infra/tables.py declares; return its name."""
        return create_table(aws.dynamodb(), name, name)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of ``table``."""
        return list(aws.dynamodb().scan(TableName=table, ConsistentRead=True)["Items"])

    def bucket(self, name: str, *, versioned: bool = False) -> str:
        """Create a bucket and return its name."""
        aws.s3().create_bucket(Bucket=name)
        if versioned:
            aws.s3().put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def queue(self, name: str) -> str:
        """Create a queue and return its URL."""
        return aws.sqs().create_queue(QueueName=name)["QueueUrl"]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take up to ten messages from ``queue``."""
        answer: Any = aws.sqs().receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return answer.get("Messages", [])


class InProcessDynamoDB(DynamoDB):
    """The event loop's client of DynamoDB with `requests` as transport, because moto does not intercept aiohttp."""

    async def _send(self, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "content-type": CONTENT_TYPE}
        response = requests.post(self._url, data=body, headers=headers, timeout=5)  # noqa: ASYNC210 - nothing to wait for
        return response.status_code, msgspec.json.decode(response.content)


@cache
def client(name: str) -> Any:
    """Return a client that calls only moto. It is cached, because creating one takes longer than fifty calls."""
    return MAKERS[name]()


@contextmanager
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Yield an empty account, which all clients of ``kit.aws`` use until the end of the block."""
    for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        for name in MAKERS:
            monkeypatch.setattr(aws, name, lambda name=name: client(name))
        yield Cloud()
