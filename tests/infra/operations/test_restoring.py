"""A restored table takes the place of the damaged one, and a share that was removed since stays removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.operations.restoring import removed_shares, restore_bucket, restore_table
from tests.tables import create_table
from tests.unit.aws import Cloud, by_boto3, in_process


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with in_process(monkeypatch) as account:
        yield account


def _put(table: str, pk: str, sk: str, **more: str) -> None:
    row = {"pk": {"S": pk}, "sk": {"S": sk}, **{name: {"S": value} for name, value in more.items()}}
    by_boto3("dynamodb").put_item(TableName=table, Item=row)


def _found(cloud: Cloud, table: str) -> dict[tuple[str, str], str]:
    rows: list[Any] = cloud.rows(table)
    return {(row["pk"]["S"], row["sk"]["S"]): row.get("title", {}).get("S", "") for row in rows}


def test_rows_are_those_of_the_backup_but_for_removed_shares(cloud: Cloud) -> None:
    dynamodb: Any = by_boto3("dynamodb")
    backup, live = create_table(dynamodb, "shares", "restored"), cloud.table("shares")
    for pk, sk, title in (("a", "META", "good"), ("b", "META", "removed later"), ("c", "META", "lost")):
        _put(backup, pk, sk, title=title)
    _put(backup, "session#b", "SHARE", share_id="b")
    _put(live, "a", "META", title="damaged")
    _put(live, "d", "META", title="made since")
    _put(live, "gone#b", "GONE")
    said: list[str] = []
    restore_table(dynamodb, backup, live, said.append)
    assert _found(cloud, live) == {("a", "META"): "good", ("c", "META"): "lost", ("gone#b", "GONE"): ""}
    assert said == ["shares: 2 rows written, 1 deleted, 1 removed shares stay removed"]
    restore_table(dynamodb, backup, live, said.append)
    assert said[1].startswith("shares: 0 rows written, 0 deleted"), "a second run changes nothing"


def test_more_rows_than_a_batch_and_tables_without_a_sort_key(cloud: Cloud) -> None:
    dynamodb: Any = by_boto3("dynamodb")
    backup, live = create_table(dynamodb, "sessions", "restored"), cloud.table("sessions")
    for number in range(60):
        dynamodb.put_item(TableName=backup, Item={"pk": {"S": str(number)}})
        dynamodb.put_item(TableName=live, Item={"pk": {"S": f"new {number}"}})
    restore_table(dynamodb, backup, live, lambda _: None)
    assert {row["pk"]["S"] for row in cloud.rows(live)} == {str(number) for number in range(60)}


def test_objects_return_but_for_removed_shares(cloud: Cloud) -> None:
    s3: Any = by_boto3("s3")
    backup, live = cloud.bucket("restored"), cloud.bucket("bodies", versioned=True)
    for name in ("shares/a/items/1", "shares/b/items/1", "other"):
        s3.put_object(Bucket=backup, Key=name, Body=b"kept")
    s3.put_object(Bucket=live, Key="shares/a/items/1", Body=b"damaged")
    s3.put_object(Bucket=live, Key="shares/z/items/1", Body=b"made since")
    said: list[str] = []
    restore_bucket(s3, backup, live, {"b"}, said.append)
    found = {it["Key"]: s3.get_object(Bucket=live, Key=it["Key"])["Body"].read() for it in _listed(s3, live)}
    assert found == {"shares/a/items/1": b"kept", "other": b"kept", "shares/z/items/1": b"made since"}
    assert said == ["bodies: 2 objects copied, 1 removed shares stay removed"]


def _listed(s3: Any, bucket: str) -> list[Any]:
    return s3.list_objects_v2(Bucket=bucket)["Contents"]


def test_removed_shares_are_those_with_a_tombstone(cloud: Cloud) -> None:
    live = cloud.table("shares")
    _put(live, "gone#x", "GONE")
    _put(live, "y", "META")
    assert removed_shares(by_boto3("dynamodb"), live) == {"x"}
