"""`make restore STAGE=...`: put what AWS has restored beside a stage into the stage's own tables and buckets.

DynamoDB and AWS Backup restore into a new table, and S3 into another bucket. The stage's functions know the old ones.
TABLE=<shares, ...> FROM=<restored table>, or BUCKET=<SharesBucket, SiteBucket> FROM=<restored bucket>. A share that was
removed after the time of the backup stays removed: its tombstone is kept, and none of its rows and objects return.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.operations.stages import ask, chosen, client, outputs
from infra.tables import TABLES

BUCKETS = ("SharesBucket", "SiteBucket")
GONE = "gone#"
"""Beginning of the partition key of a tombstone; the rest is the share's id (sharing/store/rows.py)."""

BATCH = 25
Row = Mapping[str, Any]
Say = Callable[[str], None]


def main() -> None:
    """Restore the table or the bucket that the environment names, after a person has agreed (or with YES=1)."""
    stage = chosen()
    found = outputs(client("cloudformation", stage), stage, "data")
    if found is None:
        sys.exit(f"Stage {stage.name} is not deployed.")
    table, bucket, source = (os.environ.get(name, "") for name in ("TABLE", "BUCKET", "FROM"))
    if not source or (table not in TABLES) == (bucket not in BUCKETS):
        sys.exit(f"Set FROM, and TABLE ({', '.join(TABLES)}) or BUCKET ({', '.join(BUCKETS)}).")
    dynamodb, shares = client("dynamodb", stage), found["SharesTableName"]
    target = found[f"{table.capitalize()}TableName" if table else f"{bucket}Name"]
    question = f"Replace everything in {target} by {source}? Stop all writers first. (yes) "
    if not os.environ.get("YES") and ask(question, otherwise="YES=1 restores") != "yes":
        sys.exit("Nothing was restored.")
    if table:
        restore_table(dynamodb, source, target, say=print)
    else:
        restore_bucket(client("s3", stage), source, target, removed_shares(dynamodb, shares), say=print)


def removed_shares(dynamodb: Any, table: str) -> set[str]:
    """Return the ids of the shares that have a tombstone."""
    return {row["pk"]["S"].removeprefix(GONE) for row in _rows(dynamodb, table) if _is_tombstone(row)}


def restore_table(dynamodb: Any, source: str, target: str, say: Say) -> None:
    """Make the rows of `target` equal to those of `source`, but keep tombstones, and nothing of removed shares."""
    keys = [it["AttributeName"] for it in dynamodb.describe_table(TableName=target)["Table"]["KeySchema"]]
    removed = removed_shares(dynamodb, target) if "pk" in keys else set[str]()
    wanted = {_key(row, keys): row for row in _rows(dynamodb, source) if not _of_removed(row, removed)}
    present = {_key(row, keys): row for row in _rows(dynamodb, target)}
    surplus = [row for key, row in present.items() if key not in wanted and not _is_tombstone(row)]
    changed = [row for key, row in wanted.items() if present.get(key) != row]
    _write(dynamodb, target, [{"DeleteRequest": {"Key": {name: row[name] for name in keys}}} for row in surplus])
    _write(dynamodb, target, [{"PutRequest": {"Item": row}} for row in changed])
    say(f"{target}: {len(changed)} rows written, {len(surplus)} deleted, {len(removed)} removed shares stay removed")


def restore_bucket(s3: Any, source: str, target: str, removed: set[str], say: Say) -> None:
    """Copy the objects of `source` that `target` lacks or has otherwise, but none of removed shares.

    Objects that only `target` has are left: no restored row leads to them, and the purge of a share deletes them.
    """
    present = {it["Key"]: it["ETag"] for it in _objects(s3, target)}
    copied = 0
    for it in _objects(s3, source):
        parts = it["Key"].split("/")
        gone = parts[0] == "shares" and len(parts) > 1 and parts[1] in removed
        if not gone and present.get(it["Key"]) != it["ETag"]:
            s3.copy_object(Bucket=target, Key=it["Key"], CopySource={"Bucket": source, "Key": it["Key"]})
            copied += 1
    say(f"{target}: {copied} objects copied, {len(removed)} removed shares stay removed")


def _rows(dynamodb: Any, table: str) -> Iterator[Row]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def _objects(s3: Any, bucket: str) -> Iterator[Row]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from page.get("Contents", [])


def _is_tombstone(row: Row) -> bool:
    return row.get("pk", {}).get("S", "").startswith(GONE)


def _of_removed(row: Row, removed: set[str]) -> bool:
    """Tell whether a row belongs to a removed share: by its partition, or as the way from a session to it."""
    return row.get("pk", {}).get("S") in removed or row.get("share_id", {}).get("S") in removed


def _key(row: Row, keys: list[str]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in keys)


def _write(dynamodb: Any, table: str, requests: list[dict[str, Any]]) -> None:
    for first in range(0, len(requests), BATCH):
        left: Any = {table: requests[first : first + BATCH]}
        while left:
            left = dynamodb.batch_write_item(RequestItems=left)["UnprocessedItems"]


if __name__ == "__main__":
    main()
