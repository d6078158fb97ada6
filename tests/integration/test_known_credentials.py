"""A workspace's own credentials for providers reach the gateway's plane sealed, and leave it when they are deleted."""

from __future__ import annotations

from typing import Any

import msgspec

from local.stack import LocalStack
from opencode_cloud.contracts.access import KnownCredential, KnownCredentials
from tests.integration.people import People
from tests.integration.world import must
from tests.waiting import until

SECRET = "sk-ant-0123456789abcdef0123456789"


def known(stack: LocalStack, workspace: str) -> tuple[KnownCredential, ...]:
    key = {"pk": {"S": f"workspace#{workspace}"}, "sk": {"S": "CREDENTIALS"}}
    row: Any = stack.client("dynamodb").get_item(TableName=stack.outputs["AccessTableName"], Key=key)
    value = row.get("Item", {}).get("value", {}).get("S")
    return msgspec.json.decode(value, type=KnownCredentials).credentials if value else ()


def test_credentials_are_known_sealed_after_each_change(stack: LocalStack) -> None:
    owner = People(stack).somebody()
    workspace = owner.found()
    path = f"/api/v1/workspaces/{workspace}/providers"
    made = must(owner.http.post(path, json={"provider": "anthropic", "secret": SECRET}))

    first = settled(stack, workspace, 1)[0]
    assert (first.id, first.provider, first.name, first.base_url) == (made["id"], "anthropic", "default", None)
    assert SECRET.encode() not in first.sealed + first.data_key

    must(owner.http.put(f"{path}/{made['id']}", json={"secret": SECRET[::-1]}))
    until(lambda: known(stack, workspace)[0].sealed != first.sealed)

    assert owner.http.delete(f"{path}/{made['id']}").status_code == 204
    assert settled(stack, workspace, 0) == ()


def settled(stack: LocalStack, workspace: str, count: int) -> tuple[KnownCredential, ...]:
    """Return the credentials once there are `count`."""
    until(lambda: len(known(stack, workspace)) == count)
    return known(stack, workspace)
