"""Copies of the deployed tables, bucket and queue, without stream and triggers: only our calls reach them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3

SHARING = ("share", "live", "deliver", "snapshot", "purge")
CONSOLE = ("identity", "console", "relay", "mail", "github", "migrate")
GATEWAY = ("gateway", "budgets", "ledger")
ALL = SHARING + CONSOLE + GATEWAY


def deployed_environments() -> dict[str, dict[str, str]]:
    """Return the environment variables of each of our deployed functions."""
    client = boto3.client("lambda")
    found: dict[str, dict[str, str]] = {}
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            variables = function.get("Environment", {}).get("Variables", {})
            name = variables.get("POWERTOOLS_SERVICE_NAME", "")
            if name in ALL:
                found[name] = variables
    if "share" not in found:
        raise RuntimeError("the stage has no function `share`: deploy it first")
    return found


def deployed_environment(functions: Sequence[str] = SHARING) -> dict[str, str]:
    """Return the environment variables of ``functions``, all together."""
    found: dict[str, str] = {}
    for name, variables in deployed_environments().items():
        found |= variables if name in functions else {}
    return found


@contextmanager
def sandbox(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Create copies for the duration of the block and yield ``environment`` with their names."""
    mark = f"benchmark-{secrets.token_hex(4)}"
    shares, connections = f"{mark}-shares", f"{mark}-connections"
    dynamodb, s3, sqs = boto3.client("dynamodb"), boto3.client("s3"), boto3.client("sqs")
    copy_table(environment["SHARES_TABLE"], shares)
    copy_table(environment["CONNECTIONS_TABLE"], connections)
    s3.create_bucket(Bucket=mark)
    s3.put_bucket_versioning(Bucket=mark, VersioningConfiguration={"Status": "Enabled"})
    queue = sqs.create_queue(QueueName=mark)["QueueUrl"]
    try:
        yield {
            **environment,
            "SHARES_TABLE": shares,
            "CONNECTIONS_TABLE": connections,
            "SHARES_BUCKET": mark,
            "PURGE_QUEUE_URL": queue,
            "CREATE_LIMIT_PER_MINUTE": "1000000",
        }
    finally:
        dynamodb.delete_table(TableName=shares)
        dynamodb.delete_table(TableName=connections)
        sqs.delete_queue(QueueUrl=queue)
        _delete_bucket(s3, mark)


def copy_table(source: str, copy: str) -> None:
    """Create an empty table with the keys and indexes of ``source``."""
    dynamodb: Any = boto3.client("dynamodb")
    table = dynamodb.describe_table(TableName=source)["Table"]
    wanted = ("IndexName", "KeySchema", "Projection")
    indexes = [{name: index[name] for name in wanted} for index in table.get("GlobalSecondaryIndexes", [])]
    dynamodb.create_table(
        TableName=copy,
        KeySchema=table["KeySchema"],
        AttributeDefinitions=table["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )


def _delete_bucket(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=bucket)
