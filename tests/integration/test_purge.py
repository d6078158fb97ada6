"""Unshare (invariant I5): the share is gone at once for everyone, and soon tables and bucket hold nothing of it."""

from __future__ import annotations

import os
import time
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.integration.publisher import Publisher, part
from tests.waiting import PATIENCE, until


def rows_of(stack: Any, share_id: str) -> list[Any]:
    table = stack.outputs["SharesTableName"]
    pages = (
        stack.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": share_id}},
            ConsistentRead=True,
        )
    )
    return [row for page in pages for row in page["Items"]]


def versions_of(stack: Any, share_id: str) -> list[Any]:
    pages = (
        stack.client("s3")
        .get_paginator("list_object_versions")
        .paginate(Bucket=stack.outputs["SharesBucketName"], Prefix=f"shares/{share_id}/")
    )
    return [v for page in pages for v in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]


def tombstone_of(stack: Any, share_id: str) -> dict[str, Any]:
    key = {"pk": {"S": f"gone#{share_id}"}, "sk": {"S": "GONE"}}
    return stack.client("dynamodb").get_item(TableName=stack.outputs["SharesTableName"], Key=key)["Item"]


def statuses(share: Publisher) -> dict[str, int]:
    html = {"accept": "text/html"}
    return {
        "data": share.http.get(f"/api/share/{share.id}/data").status_code,
        "sync": share.sync(part("late")).status_code,
        "items": share.http.get(f"/share/{share.id}/items").status_code,
        "item": share.http.get(f"/share/{share.id}/items/1").status_code,
        "page": share.http.get(f"/share/{share.id}", headers=html).status_code,
        "json": share.http.get(f"/share/{share.id}.json").status_code,
        "markdown": share.http.get(f"/share/{share.id}.md").status_code,
        "legacy": share.http.get("/share_data", params={"id": share.id}).status_code,
    }


def ends(socket: ClientConnection) -> bool:
    """Read a socket until the other side ends it."""
    try:
        while True:
            socket.recv(timeout=PATIENCE)
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


def test_after_unshare_every_route_says_gone_at_once_and_sockets_end(stack: Any) -> None:
    share = Publisher.create(stack.url)
    share.must_sync(part("1"))
    address = stack.url.replace("http", "ws", 1)
    with connect(f"{address}/live") as live, connect(f"{address}/share_poll?id={share.id}") as legacy:
        live.send(f'{{"action":"resume","share":"{share.id}","after":0}}')
        while '"ready"' not in live.recv(timeout=PATIENCE, decode=True):
            pass
        legacy.recv(timeout=PATIENCE)
        assert share.delete().status_code == 200
        assert set(statuses(share).values()) == {410}
        assert '"gone"' in live.recv(timeout=PATIENCE, decode=True)
        for socket in (live, legacy):
            assert ends(socket)
    with pytest.raises(InvalidStatus):
        connect(f"{address}/share_poll?id={share.id}")


def test_deleting_again_or_what_never_was_is_no_error(stack: Any) -> None:
    share = Publisher.create(stack.url)
    assert [share.delete().status_code for _ in range(3)] == [200, 200, 200]
    assert (
        httpx.request("DELETE", f"{stack.url}/api/share/never-was", json={"secret": "x"}, timeout=PATIENCE).status_code
        == 200
    )


def test_a_session_can_be_shared_again_at_once_under_another_link(stack: Any) -> None:
    share = Publisher.create(stack.url)
    share.must_sync(part("1", "before"))
    share.delete()
    again = Publisher.create(stack.url, share.session_id)
    assert again.id != share.id
    again.must_sync(part("1", "after"))
    assert [item["data"]["text"] for item in again.data()] == ["after"]
    assert set(statuses(share).values()) == {410}


@pytest.mark.parametrize(("items", "large"), [(300, 3), (5000, 40)])
@pytest.mark.slow  # most of this time is waiting for the last possible writer
def test_in_the_end_nothing_is_left_and_the_audit_says_so(stack: Any, items: int, large: int) -> None:
    share = Publisher.create(stack.url)
    for start in range(0, items, 100):
        share.must_sync(*[part(f"{n}", os.urandom(1500).hex()) for n in range(start, min(start + 100, items))])
    for n in range(large):
        share.must_sync(part(f"large{n}", os.urandom(300_000).hex()))
    assert len(share.data()) == items + large
    assert rows_of(stack, share.id)
    until(lambda: versions_of(stack, share.id))
    assert share.delete().status_code == 200
    until(lambda: "purged_at" in tombstone_of(stack, share.id), 180)
    audit = tombstone_of(stack, share.id)
    assert int(audit["removed_objects"]["N"]) >= large
    assert rows_of(stack, share.id) == []
    assert versions_of(stack, share.id) == []
    assert set(statuses(share).values()) == {410}


def test_the_operator_can_look_up_and_remove_a_share(stack: Any) -> None:
    share = Publisher.create(stack.url)
    share.must_sync(part("1", "private words"))
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.outputs["AdminSecretArn"])["SecretString"]
    operator = {"authorization": f"Bearer {secret}"}
    address = f"{stack.url}/api/admin/shares/{share.id}"
    assert httpx.get(address, headers={"authorization": "Bearer wrong"}, timeout=PATIENCE).status_code == 403
    found = httpx.get(address, headers=operator, timeout=PATIENCE)
    assert found.json()["state"] == "active"
    assert "private words" not in found.text
    assert httpx.delete(address, headers=operator, timeout=PATIENCE).status_code == 200
    assert httpx.get(address, headers=operator, timeout=PATIENCE).json()["reason"] == "removed by the operator"
    assert set(statuses(share).values()) == {410}
    assert (
        httpx.delete(f"{stack.url}/api/admin/shares/never-was", headers=operator, timeout=PATIENCE).status_code == 404
    )


def test_a_share_whose_lifetime_is_over_is_gone_and_purged_by_the_schedule(stack: Any) -> None:
    share = Publisher.create(stack.url)
    share.must_sync(part("1"))
    now = int(time.time())
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["SharesTableName"],
        Key={"pk": {"S": share.id}, "sk": {"S": "META"}},
        UpdateExpression="SET expires_at = :past, expiry_day = :today",
        ExpressionAttributeValues={
            ":past": {"N": str(now - 1)},
            ":today": {"S": time.strftime("%Y-%m-%d", time.gmtime(now - 1))},
        },
    )
    # A hub that was just published to believes the row for half a second (docs/decisions/029).
    until(lambda: set(statuses(share).values()) == {410})
    assert Publisher.create(stack.url, share.session_id).id != share.id
    stack.client("lambda").invoke(FunctionName=stack.outputs["PurgeFunctionName"], Payload=b'{"source":"schedule"}')
    assert tombstone_of(stack, share.id)["reason"]["S"] == "expired"
    until(lambda: rows_of(stack, share.id) == [])
