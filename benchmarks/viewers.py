"""Real sockets on the deployed stage whose connection ids are known, so that posts to them succeed."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import boto3
from websockets.sync.client import connect

from benchmarks.shares import new_session

WAIT_SECONDS = 20


@contextmanager
def connections(url: str, deployed_table: str, count: int) -> Iterator[list[str]]:
    """Open ``count`` sockets at ``url`` and yield their connection ids.

    A socket is not told its id; so each follows a share of the deployed stage, where a row names it.
    """
    share = _create(url)
    with ExitStack() as sockets:
        for _ in range(count):
            socket = sockets.enter_context(
                connect(
                    f"{url.replace('http', 'ws', 1)}/live",
                    ping_interval=None,
                    open_timeout=WAIT_SECONDS,
                    close_timeout=1,
                )
            )
            socket.send(json.dumps({"action": "resume", "share": share, "after": 0}))
            socket.recv(timeout=WAIT_SECONDS)
        yield _connections(deployed_table, share, count)


def _create(url: str) -> str:
    body = json.dumps({"sessionID": new_session()}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/api/share", body)) as answer:  # noqa: S310 - our own
        return json.load(answer)["id"]


def _connections(table: str, share: str, count: int) -> list[str]:
    dynamodb: Any = boto3.client("dynamodb")
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        rows = dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :share AND begins_with(sk, :viewer)",
            ExpressionAttributeValues={":share": {"S": share}, ":viewer": {"S": "V#"}},
            ConsistentRead=True,
        )["Items"]
        if len(rows) >= count:
            return [row["sk"]["S"].partition("#")[2] for row in rows]
        time.sleep(0.1)
    raise TimeoutError(f"only some of {count} viewers joined within {WAIT_SECONDS} s")
