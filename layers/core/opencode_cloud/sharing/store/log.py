"""The logs of shares in the table ``shares``.

With these sort keys, one consistent query of a share's partition from a known end of the log returns everything that a
commit needs, in one round trip: the records after it (``L#``), the share (``META``), the viewers (``V#``).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import ConditionFailed, binary, conditional_write
from opencode_cloud.kit.ids import new_object_id
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.sharing.models import Item, Payload, Position, Record, Share, Viewer
from opencode_cloud.sharing.store import rows
from opencode_cloud.sharing.store.rows import LOG, META, VIEWER, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opencode_cloud.sharing.store.objects import ObjectStore

ITEM_BODY_BYTES = 256 * 1024  # a larger item body is claim-checked on its own, so that snapshots stay small
ROW_PAYLOAD_BYTES = 300 * 1024  # DynamoDB: 400 KB an item; above this a payload is claim-checked
_READ_AHEAD = 64  # records whose objects are fetched in one parallel round


class Head(msgspec.Struct, frozen=True):
    """The data that a commit reads: the share, the records after the given position, the log's end, the viewers."""

    share: Share | None
    records: tuple[Record, ...]
    viewers: tuple[Viewer, ...]
    tail: Position


class Following(msgspec.Struct, frozen=True):
    """A share, None when its rows are deleted, and the viewers that follow it."""

    share: Share | None
    viewers: tuple[Viewer, ...]


class LogPage(msgspec.Struct, frozen=True):
    """One page (up to 1 MB) of a log after a position. ``complete`` is true when it reaches the log's end."""

    share: Share | None
    records: tuple[Record, ...]
    complete: bool


class LogStore:
    """The table ``shares``, and the bucket for content that is too large for its rows."""

    def __init__(self, table: str, objects: ObjectStore) -> None:
        self._table = table
        self._objects = objects
        self._dynamodb = aws.dynamodb()

    def share(self, share_id: ShareId) -> Share | None:
        """Return a share's row."""
        row = self._get(rows.key(share_id, META))
        return rows.share_from(row) if row else None

    def head(self, share_id: ShareId, known_end: Position | None) -> Head:
        """Read what a commit needs in one query: from the ``known_end`` of the log, else from the share's hint."""
        start = rows.log_key(known_end.seq + 1) if known_end else META
        found_rows = list(self._query(share_id, start, VIEWER + "~"))
        share = next((rows.share_from(row) for row in found_rows if row["sk"]["S"] == META), None)
        records = self._records([row for row in found_rows if row["sk"]["S"].startswith(LOG)])
        viewers = tuple(rows.viewer_from(row) for row in found_rows if row["sk"]["S"].startswith(VIEWER))
        tail = known_end or (share.hint if share else Position())
        if records:
            tail = Position(records[-1].last, records[-1].total)
        return Head(share, records, viewers, tail)

    def following(self, share_id: ShareId) -> Following:
        """Return a share and its viewers, in one query."""
        found_rows = list(self._query(share_id, META, VIEWER + "~"))
        share = next((rows.share_from(row) for row in found_rows if row["sk"]["S"] == META), None)
        return Following(share, tuple(rows.viewer_from(row) for row in found_rows if row["sk"]["S"] != META))

    def prepare(self, share_id: ShareId, items: Sequence[Item]) -> Payload:
        """Store those ``items`` that are too large for a row. Return the rest, compressed and ready to be appended."""
        items = parallel_map(lambda item: self._claim_check(share_id, item), items) if _any_large(items) else items
        packed = rows.pack(items)
        if len(packed) <= ROW_PAYLOAD_BYTES:
            return Payload(count=len(items), size=len(packed), packed=packed)
        claim = f"records/{new_object_id()}"
        self._objects.put_record(share_id, claim, packed)
        return Payload(count=len(items), size=len(packed), claim=claim)

    def _claim_check(self, share_id: ShareId, item: Item) -> Item:
        if len(item.data) <= ITEM_BODY_BYTES:
            return item
        return msgspec.structs.replace(item, data=b"", body=self._objects.put_body(share_id, item.data))

    def append(self, share_id: ShareId, tail: Position, at: int, payload: Payload) -> Position | None:
        """Put a record after ``tail`` and return the log's new end; None when another writer was first.

        One conditional put keeps invariant I2: the record's key follows the last item of a record that is known to
        exist, so the log has no gap, and exactly one of the writers that know the same end gets the key.

        A put may be executed although its answer is lost, and then it is tried again. The record that the second
        attempt finds is this writer's own.
        """
        end = Position(tail.seq + payload.count, tail.total + payload.size)
        row = rows.record_row(share_id, tail.seq + 1, end, at, payload)
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=row,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as error:
            return end if error.item is not None and rows.is_same_record(error.item, row) else None
        return end

    def rewrite(self, share_id: ShareId, record: Record, items: Sequence[Item]) -> None:
        """Replace the items of a stored record, and delete their old object. Numbers and sizes stay as they are.

        A record that was deleted meanwhile stays deleted.
        """
        key = rows.key(share_id, rows.log_key(record.first))
        old = self._get(key) or {}
        payload = self.prepare(share_id, items)
        row = rows.record_row(share_id, record.first, Position(record.last, record.total), record.at, payload)
        replaced = conditional_write(
            self._dynamodb.put_item, TableName=self._table, Item=row, ConditionExpression="attribute_exists(pk)"
        )
        stale = old.get("claim") if replaced else row.get("claim")
        if stale is not None:
            self._objects.delete(share_id, stale["S"])

    def page(self, share_id: ShareId, after: int) -> LogPage:
        """Return the share and the first page of its log after ``after``, which may lie within a record."""
        answer = self._query_page(share_id, rows.log_key(after + 1), META)
        found_rows = answer["Items"]
        meta = next((row for row in found_rows if row["sk"]["S"] == META), None)
        if meta is None and "LastEvaluatedKey" in answer:
            return LogPage(self.share(share_id), (), complete=False)
        share = rows.share_from(meta) if meta else None
        records = self._records([row for row in found_rows if row["sk"]["S"] != META])
        at_known_end = share is not None and share.hint.seq == after and not records
        if after and not at_known_end and (not records or records[0].first > after + 1):
            records = (*self._around(share_id, after), *records)
        return LogPage(share, records, complete=True)

    def end(self, share_id: ShareId) -> tuple[Share | None, int]:
        """Return a share and the number of its last item, by one query backwards from the share's row."""
        answer = self._query_page(share_id, LOG, META, ScanIndexForward=False, Limit=2)
        row_by_kind: dict[str, Row] = {row["sk"]["S"][:2]: row for row in answer["Items"]}
        meta, last = row_by_kind.get(META[:2]), row_by_kind.get(LOG)
        return rows.share_from(meta) if meta else None, int(last["last"]["N"]) if last else 0

    def records(self, share_id: ShareId, after: int) -> Iterator[Record]:
        """Yield the records of a log with items after ``after``, which may lie within a record."""
        first = True
        for batch in _batches(self._query(share_id, rows.log_key(after + 1), LOG + "~")):
            records = self._records(batch)
            if first and after and records[0].first > after + 1:
                yield from self._around(share_id, after)
            first = False
            yield from records
        if first and after:
            yield from (record for record in self._around(share_id, after) if record.last > after)

    def record_with(self, share_id: ShareId, seq: int) -> Record | None:
        """Return the record that holds the item ``seq``."""
        return next((record for record in self._around(share_id, seq) if record.last >= seq), None)

    def _around(self, share_id: ShareId, seq: int) -> tuple[Record, ...]:
        """Return the last record that begins at or before ``seq``."""
        answer = self._query_page(share_id, LOG, rows.log_key(seq), ScanIndexForward=False, Limit=1)
        return self._records(answer["Items"])

    def _records(self, found_rows: Sequence[Row]) -> tuple[Record, ...]:
        if any("claim" in row for row in found_rows):
            return tuple(parallel_map(self._record, found_rows))
        return tuple(map(self._record, found_rows))

    def _record(self, row: Row) -> Record:
        first, at = int(row["sk"]["S"][len(LOG) :]), int(row["at"]["N"])
        claim = row.get("claim")
        payload = self._objects.get(row["pk"]["S"], claim["S"]) if claim else binary(row["payload"])
        return Record(
            first=first,
            last=int(row["last"]["N"]),
            at=at,
            total=int(row["total"]["N"]),
            items=rows.unpack(payload, first, at),
        )

    def _get(self, key: Row) -> Row | None:
        return self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _query(self, share_id: ShareId, low: str, high: str, **options: Any) -> Iterator[Row]:
        for page in self._pages(share_id, low, high, **options):
            yield from page["Items"]

    def _pages(self, share_id: ShareId, low: str, high: str, **options: Any) -> Iterator[Any]:
        return self._dynamodb.pages(**self._range(share_id, low, high), **options)

    def _query_page(self, share_id: ShareId, low: str, high: str, **options: Any) -> Any:
        return self._dynamodb.query(**self._range(share_id, low, high), **options)

    def _range(self, share_id: ShareId, low: str, high: str) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {
                ":pk": {"S": rows.within_limit(share_id)},
                ":low": {"S": low},
                ":high": {"S": high},
            },
            "ConsistentRead": True,
        }


def _batches(row_iterator: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(row_iterator, _READ_AHEAD)):
        yield batch


def _any_large(items: Sequence[Item]) -> bool:
    return any(len(item.data) > ITEM_BODY_BYTES for item in items)
