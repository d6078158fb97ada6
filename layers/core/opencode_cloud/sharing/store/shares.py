"""Shares, their logs and their viewers in the table ``shares``.

With these sort keys, one consistent query of a share's partition from a known end of the log returns everything that a
commit needs, in one round trip: the records after it (``L#``), the share (``META``), the viewers (``V#``).
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import ConnectionId, ShareId, WorkspaceId
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import DAY_SECONDS, day_of, now_seconds
from opencode_cloud.kit.dynamodb import WRITES_AT_ONCE, batch_delete, batch_get, conditional_write, encode, transact
from opencode_cloud.kit.ids import new_object_id
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.kit.rate_counters import Count, Totals, add_amounts, count_event
from opencode_cloud.sharing.models import (
    Item,
    Listed,
    Ownership,
    Payload,
    Position,
    Record,
    Share,
    ShareCursor,
    Snapshot,
    State,
    Tombstone,
    Viewer,
)
from opencode_cloud.sharing.store import rows
from opencode_cloud.sharing.store.rows import COUNTER, LOG, META, VIEWER, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opencode_cloud.sharing.store.objects import ObjectStore

ITEM_BODY_BYTES = 256 * 1024  # a larger item body is claim-checked on its own, so that snapshots stay small
ROW_PAYLOAD_BYTES = 300 * 1024  # DynamoDB: 400 KB an item; above this a payload is claim-checked
TOMBSTONE_DAYS = 400
VIEWER_SECONDS = 3 * 3600  # API Gateway ends a socket after 2 hours; the row may outlive it until its TTL
_READ_AHEAD = 64  # records whose objects are fetched in one parallel round


class Head(msgspec.Struct, frozen=True):
    """The data that a commit reads: the share, the records after the given position, the log's end, the viewers."""

    share: Share | None
    records: tuple[Record, ...]
    viewers: tuple[Viewer, ...]
    tail: Position


class LogPage(msgspec.Struct, frozen=True):
    """One page (up to 1 MB) of a log after a position. ``complete`` is true when it reaches the log's end."""

    share: Share | None
    records: tuple[Record, ...]
    complete: bool


class ShareStore:
    """The table ``shares``, and the bucket for content that is too large for its rows."""

    def __init__(self, table: str, objects: ObjectStore) -> None:
        self._table = table
        self._objects = objects
        self._dynamodb = aws.dynamodb()

    # ------------------------------------------------------------------------------------------ shares

    def share_of(self, session_hash: str) -> ShareId | None:
        """Return the id of a session's share, which may have expired or be gone."""
        row = self._get(rows.session_key(session_hash))
        return ShareId(row["share_id"]["S"]) if row else None

    def share(self, share_id: ShareId) -> Share | None:
        """Return a share's row."""
        row = self._get(rows.key(share_id, META))
        return rows.share_from(row) if row else None

    def create(self, share: Share, replaces: ShareId | None = None) -> bool:
        """Store a new share as its session's; False if the session has a share other than ``replaces``, a dead one."""
        meta = rows.share_row(share)
        point = {
            "TableName": self._table,
            "Item": rows.session_row(share),
            # Exactly one of several concurrent creates gets the session's pointer.
            "ConditionExpression": "attribute_not_exists(pk) OR share_id = :dead",
            "ExpressionAttributeValues": {":dead": {"S": replaces or ""}},
        }
        put = {"TableName": self._table, "Item": meta, "ConditionExpression": "attribute_not_exists(pk)"}
        return transact(self._dynamodb, [{"Put": point}, {"Put": put}])

    def mark_deleted(self, share: Share, tombstone: Tombstone) -> bool:
        """Mark a share as gone and leave a tombstone in one transaction, then free its session; False if already gone.

        A share that is gone stays in the index of expiry until its rows are purged, so that the schedule finds it if
        the purge message is lost. It leaves the lists of its owner and workspace at once.
        """
        now = now_seconds()
        mark = {
            "TableName": self._table,
            "Key": rows.key(share.id, META),
            "UpdateExpression": "SET #state = :gone, expires_at = :now, expiry_day = :today"
            " REMOVE workspace_id, owner_key",
            "ConditionExpression": "#state = :active",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {
                ":gone": {"S": State.GONE.value},
                ":active": {"S": State.ACTIVE.value},
                ":now": {"N": str(now)},
                ":today": {"S": day_of(now)},
            },
        }
        put = {"TableName": self._table, "Item": self._tombstone_row(tombstone)}
        marked = transact(self._dynamodb, [{"Update": mark}, {"Put": put}])
        if marked:
            self._free_session(share)
        return marked

    def _free_session(self, share: Share) -> None:
        """Delete the session's pointer, unless it points to a newer share (the old one had expired)."""
        conditional_write(
            self._dynamodb.delete_item,
            TableName=self._table,
            Key=rows.session_key(share.session_hash),
            ConditionExpression="share_id = :share",
            ExpressionAttributeValues={":share": {"S": share.id}},
        )

    def tombstone(self, share_id: ShareId) -> Tombstone | None:
        """Return the tombstone of a removed share."""
        row = self._get(rows.tombstone_key(share_id))
        return rows.tombstone_from(row) if row else None

    def put_tombstone(self, tombstone: Tombstone) -> None:
        """Replace a tombstone."""
        self._dynamodb.put_item(TableName=self._table, Item=self._tombstone_row(tombstone))

    def _tombstone_row(self, tombstone: Tombstone) -> Row:
        return rows.tombstone_row(tombstone, now_seconds() + TOMBSTONE_DAYS * DAY_SECONDS)

    def expired(self, days: Iterable[str], now: int) -> Iterator[ShareId]:
        """Yield the ids of the shares that expired before ``now`` (seconds since the epoch), on one of ``days``."""
        for day in days:
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName="expiry",
                KeyConditionExpression="expiry_day = :day AND expires_at <= :now",
                ExpressionAttributeValues={":day": {"S": day}, ":now": {"N": str(now)}},
            )
            for page in pages:
                yield from (ShareId(row["pk"].get("S", "")) for row in page["Items"])

    # ---------------------------------------------------------------------------------------- ownership

    def claim(self, share: Share, claimed: Share) -> bool:
        """Replace a share without an owner by the same share with one; False when it has an owner already or is gone.

        The owner's session points to the share from then on, and the anonymous one does not.
        """
        if claimed.ownership is None:
            raise ValueError("a claimed share has an owner")
        values = rows.ownership_values(claimed.ownership)
        values |= rows.expiry(claimed.expires_at) if claimed.expires_at is not None else {}
        values |= encode({"session_hash": claimed.session_hash, "needs_login": claimed.needs_login})
        update = self._update(share.id, values, "attribute_not_exists(workspace_id)")
        point = {"TableName": self._table, "Item": rows.session_row(claimed)}
        if not transact(self._dynamodb, [{"Update": update}, {"Put": point}]):
            return False
        # A pointer that outlives an interruption is harmless: create compares the hash with the share's.
        self._free_session(share)
        return True

    def renew_secret(self, share: Share, renewed: Share) -> bool:
        """Replace the secret's hash and the sealed session; False when they were replaced meanwhile, or it is gone."""
        values = encode(
            {
                "secret_hash": renewed.secret_hash,
                "sealed_session": renewed.sealed_session,
                "needs_login": renewed.needs_login,
            }
        )
        return self._set(share.id, values, "secret_hash = :known", {":known": {"B": share.secret_hash}})

    def change(self, share: Share, ownership: Ownership, expires_at: int | None) -> bool:
        """Replace the ownership and the expiry; False when the audience was changed meanwhile or the share is gone.

        The ticket key is the version: every change of the audience replaces it.
        """
        if share.ownership is None:
            raise ValueError("a share without an owner is claimed")
        values = rows.ownership_values(ownership) | (rows.expiry(expires_at) if expires_at is not None else {})
        removed = [] if expires_at is not None else ["expires_at", "expiry_day"]
        removed += [name for name in Ownership.__struct_fields__ if name not in values]
        compared = {":known": {"B": share.ownership.ticket_key}}
        return self._set(share.id, values, "ticket_key = :known", compared, removed)

    def set_title(self, share_id: ShareId, title: str) -> None:
        """Store the session's title, for lists."""
        self._set(share_id, {"title": {"S": title}}, "attribute_exists(ticket_key)")

    def _set(
        self, share_id: ShareId, values: Row, condition: str, compared: Row | None = None, removed: Sequence[str] = ()
    ) -> bool:
        """Set attributes of an active share's row; False when the condition does not hold."""
        update = self._update(share_id, values, condition, compared, removed)
        return conditional_write(self._dynamodb.update_item, **update)

    def _update(
        self, share_id: ShareId, values: Row, condition: str, compared: Row | None = None, removed: Sequence[str] = ()
    ) -> Row:
        """Return the parameters of an update of an active share's row."""
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
        update += " REMOVE " + ", ".join(f"#{name}" for name in removed) if removed else ""
        return {
            "TableName": self._table,
            "Key": rows.key(share_id, META),
            "UpdateExpression": update,
            "ConditionExpression": f"#state = :active AND {condition}",
            "ExpressionAttributeNames": {f"#{name}": name for name in (*values, *removed, "state")},
            "ExpressionAttributeValues": {
                **{f":{name}": value for name, value in values.items()},
                ":active": {"S": State.ACTIVE.value},
                **(compared or {}),
            },
        }

    def count_view(self, share_id: ShareId) -> None:
        """Count one view of a share."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key=rows.key(share_id, COUNTER),
            UpdateExpression="ADD #views :one",
            ExpressionAttributeNames={"#views": "views"},
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    def listed(self, share_ids: Sequence[ShareId]) -> list[Listed]:
        """Return the existing shares with an owner among at most 50 ids, with their views, in the same order."""
        keys = [rows.key(share_id, sort) for share_id in share_ids for sort in (META, COUNTER)]
        read = batch_get(self._dynamodb, {self._table: keys})[self._table]
        row_by_key = {(row["pk"]["S"], row["sk"]["S"]): row for row in read}
        shares = [rows.share_from(row_by_key[name, META]) for name in share_ids if (name, META) in row_by_key]
        return [
            Listed(share=share, ownership=share.ownership, views=_views(row_by_key.get((share.id, COUNTER))))
            for share in shares
            if share.ownership is not None and share.state is State.ACTIVE
        ]

    def shares_in(
        self, workspace_id: WorkspaceId, owner: str | None, limit: int, after: ShareCursor | None
    ) -> tuple[list[ShareId], ShareCursor | None]:
        """Return the ids of a page of a workspace's shares, newest first, and the position of the next page.

        ``owner`` limits the page to that owner's shares. ``after`` is the position that the page before returned. The
        index follows the table within about a second.
        """
        index, attribute, value = (
            ("owner", "owner_key", rows.owner_key(workspace_id, owner))
            if owner
            else ("workspace", "workspace_id", workspace_id)
        )
        begin: Any = {"ExclusiveStartKey": rows.cursor_key(attribute, value, after)} if after else {}
        answer: Any = self._dynamodb.query(
            TableName=self._table,
            IndexName=index,
            KeyConditionExpression="#name = :name",
            ExpressionAttributeNames={"#name": attribute},
            ExpressionAttributeValues={":name": {"S": value}},
            ScanIndexForward=False,
            Limit=limit,
            **begin,
        )
        last = answer.get("LastEvaluatedKey")
        following = ShareCursor(int(last["created_at"]["N"]), last["pk"]["S"]) if last else None
        return [ShareId(row["pk"]["S"]) for row in answer["Items"]], following

    def set_snapshot(self, share_id: ShareId, snapshot: Snapshot | None, hint: Position) -> bool:
        """Advance a share's snapshot and hint; False when the share is gone or has a newer snapshot."""
        values: Row = {
            ":active": {"S": State.ACTIVE.value},
            ":seq": {"N": str(hint.seq)},
            ":total": {"N": str(hint.total)},
        }
        update = "SET hint_seq = :seq, hint_total = :total"
        # Writers may finish in any order, so the hint and the snapshot only move forward.
        condition = "#state = :active AND hint_seq <= :seq"
        names = {"#state": "state"}
        if snapshot is not None:
            update += ", #snapshot = :snapshot"
            condition += " AND (attribute_not_exists(#snapshot) OR #snapshot.#seq < :snapshot_seq)"
            values |= {":snapshot": rows.snapshot_value(snapshot), ":snapshot_seq": {"N": str(snapshot.seq)}}
            names |= {"#snapshot": "snapshot", "#seq": "seq"}
        return conditional_write(
            self._dynamodb.update_item,
            TableName=self._table,
            Key=rows.key(share_id, META),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def count(self, what: str, seconds: int) -> Count:
        """Increment the counter ``what`` in its present window of ``seconds``. Return the count so far."""
        return count_event(self._dynamodb, self._table, what, seconds, lambda partition: rows.key(partition, "RATE"))

    def spend(self, subject: str, seconds: int, amounts: Mapping[str, int]) -> Totals:
        """Add ``amounts`` to the sums of ``subject`` in the present window of ``seconds``. Return the sums.

        The subject is hashed, so that the row of a removed share does not name it.
        """
        digest = hashlib.sha256(subject.encode()).hexdigest()[:32]
        return add_amounts(
            self._dynamodb, self._table, f"spent#{digest}", seconds, amounts, lambda pk: rows.key(pk, "RATE")
        )

    # --------------------------------------------------------------------------------------------- log

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
        """
        end = Position(tail.seq + payload.count, tail.total + payload.size)
        appended = conditional_write(
            self._dynamodb.put_item,
            TableName=self._table,
            Item=rows.record_row(share_id, tail.seq + 1, end, at, payload),
            ConditionExpression="attribute_not_exists(pk)",
        )
        return end if appended else None

    def page(self, share_id: ShareId, after: int) -> LogPage:
        """Return the share and the first page of its log after ``after``, which may lie within a record."""
        answer = self._query_page(share_id, rows.log_key(after + 1), META)
        found_rows = answer["Items"]
        meta = next((row for row in found_rows if row["sk"]["S"] == META), None)
        if meta is None and "LastEvaluatedKey" in answer:
            return LogPage(self.share(share_id), (), complete=False)
        records = self._records([row for row in found_rows if row["sk"]["S"] != META])
        if after and (not records or records[0].first > after + 1):
            records = (*self._around(share_id, after), *records)
        return LogPage(rows.share_from(meta) if meta else None, records, complete=True)

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
        payload = self._objects.get(row["pk"]["S"], claim["S"]) if claim else bytes(row["payload"]["B"])
        return Record(
            first=first,
            last=int(row["last"]["N"]),
            at=at,
            total=int(row["total"]["N"]),
            items=rows.unpack(payload, first, at),
        )

    # ----------------------------------------------------------------------------------------- viewers

    def add_viewer(self, share_id: ShareId, viewer: Viewer) -> None:
        """Have every later commit pushed to ``viewer``."""
        self._dynamodb.put_item(
            TableName=self._table,
            Item={
                **rows.key(share_id, rows.viewer_key(viewer.connection_id)),
                "protocol": {"S": viewer.protocol.value},
                **({"ticket": {"S": viewer.ticket}} if viewer.ticket else {}),
                "ttl": {"N": str(now_seconds() + VIEWER_SECONDS)},
            },
        )

    def remove_viewer(self, share_id: ShareId, connection_id: ConnectionId) -> None:
        """Stop pushing to ``connection_id``."""
        self._dynamodb.delete_item(TableName=self._table, Key=rows.key(share_id, rows.viewer_key(connection_id)))

    def viewers(self, share_id: ShareId) -> list[Viewer]:
        """Return the viewers of a share."""
        return [rows.viewer_from(row) for row in self._query(share_id, VIEWER, VIEWER + "~")]

    # ------------------------------------------------------------------------------------------- purge

    def purge(self, share_id: ShareId) -> int:
        """Delete every row of a share's partition. Return their number."""
        keys = [
            {"pk": row["pk"], "sk": row["sk"]} for row in self._query(share_id, " ", "~", ProjectionExpression="pk, sk")
        ]
        batches = [keys[start : start + WRITES_AT_ONCE] for start in range(0, len(keys), WRITES_AT_ONCE)]
        parallel_map(lambda batch: batch_delete(self._dynamodb, self._table, batch), batches)
        return len(keys)

    # --------------------------------------------------------------------------------------- internals

    def _get(self, key: Row) -> Row | None:
        return self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _query(self, share_id: ShareId, low: str, high: str, **options: Any) -> Iterator[Row]:
        start: Row | None = {}
        while start is not None:
            paging = {"ExclusiveStartKey": start} if start else {}
            answer = self._query_page(share_id, low, high, **options, **paging)
            yield from answer["Items"]
            start = answer.get("LastEvaluatedKey")

    def _query_page(self, share_id: ShareId, low: str, high: str, **options: Any) -> Any:
        return self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues={
                ":pk": {"S": rows.within_limit(share_id)},
                ":low": {"S": low},
                ":high": {"S": high},
            },
            ConsistentRead=True,
            **options,
        )


def _batches(row_iterator: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(row_iterator, _READ_AHEAD)):
        yield batch


def _views(row: Row | None) -> int:
    return int(row["views"]["N"]) if row else 0


def _any_large(items: Sequence[Item]) -> bool:
    return any(len(item.data) > ITEM_BODY_BYTES for item in items)
