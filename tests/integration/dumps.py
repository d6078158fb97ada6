"""The stored data of a stage, searched for forbidden contents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from local.stack import LocalStack


def forms(secret: str) -> Iterator[bytes]:
    """Yield the forms in which a dump may hold a text."""
    yield secret.encode()
    yield secret.encode().hex().encode()
    yield secret.encode().hex().upper().encode()


def kept(stack: LocalStack) -> Iterator[tuple[str, bytes]]:
    """Yield all stored data, by place."""
    yield "MySQL", stack.database.dump()
    dynamodb = stack.client("dynamodb")
    for table in dynamodb.list_tables()["TableNames"]:
        pages = dynamodb.get_paginator("scan").paginate(TableName=table)
        yield table, repr([page["Items"] for page in pages]).encode()
    sqs = stack.client("sqs")
    for queue in sqs.list_queues().get("QueueUrls", []):
        waiting = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        yield queue, repr(waiting.get("Messages", [])).encode()
    for log in sorted(Path(stack.state / "logs").glob("*.log")):
        if log.name != "mailbox.log":  # this is the log of the recipients' server, not of the stage
            yield log.name, log.read_bytes()


def leaks(stack: LocalStack, secrets: dict[str, str]) -> list[tuple[str, str]]:
    """Return the places of ``secrets``, by name."""
    return [
        (what, where)
        for where, content in kept(stack)
        for what, secret in secrets.items()
        if any(form in content for form in forms(secret))
    ]
