"""Shares and their viewers in the table ``shares``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.ids import CommentId, ConnectionId, ShareId, WorkspaceId
from opencode_cloud.kit.clock import DAY_SECONDS, day_of, now_seconds
from opencode_cloud.kit.dynamodb import (
    WRITES_AT_ONCE,
    batch_delete,
    batch_get,
    batch_put,
    conditional_write,
    encode,
    encode_struct,
    transact,
)
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.kit.rate_counters import Count, Expense, Totals, add_amounts, count_event
from opencode_cloud.sharing.models import (
    ItemFindings,
    Listed,
    Ownership,
    Position,
    Refusal,
    Share,
    ShareCursor,
    Snapshot,
    State,
    Tombstone,
    Viewer,
    ViewerCount,
)
from opencode_cloud.sharing.store import rows
from opencode_cloud.sharing.store.log import LogStore
from opencode_cloud.sharing.store.rows import COMMENT, COUNTER, FINDINGS, META, VIEWER, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opencode_cloud.sharing.protocol.comments import Comment


TOMBSTONE_DAYS = 400
VIEWER_SECONDS = 3 * 3600  # API Gateway ends a socket after 2 hours; the row may outlive it until its TTL


class ShareStore(LogStore):
    """Shares, their sessions, owners, counters and viewers; their logs are the part of :class:`LogStore`."""

    # ------------------------------------------------------------------------------------------ shares

    def share_of(self, session_hash: str) -> ShareId | None:
        """Return the id of a session's share, which may have expired or be gone."""
        row = self._get(rows.session_key(session_hash))
        return ShareId(row["share_id"]["S"]) if row else None

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
        return transact(self._dynamodb, [{"Put": point}, {"Put": put}, *self._relative(share)])

    def _relative(self, share: Share) -> list[Row]:
        """Return the write by which the relatives of a share find it."""
        return [{"Put": {"TableName": self._table, "Item": rows.relative_row(share)}}] if share.family else []

    def relatives(self, family: str, pseudonyms: Sequence[str]) -> list[Share]:
        """Return the shares of a family that publish at most 50 sessions, which may have expired."""
        if not family or not pseudonyms:
            return []
        keys = [rows.relative_key(family, pseudonym) for pseudonym in pseudonyms]
        found = batch_get(self._dynamodb, {self._table: keys})[self._table]
        metas = [rows.key(row["share_id"]["S"], META) for row in found]
        read = batch_get(self._dynamodb, {self._table: metas})[self._table] if metas else []
        return [rows.share_from(row) for row in read]

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
        """Delete the pointers to a session's share, unless they point to a newer share (the old had expired)."""
        keys = [rows.session_key(share.session_hash)]
        keys += [rows.relative_key(share.family, share.pseudonym)] if share.family else []
        for key in keys:
            conditional_write(
                self._dynamodb.delete_item,
                TableName=self._table,
                Key=key,
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
            pages = self._dynamodb.pages(
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
        values |= encode(
            {"session_hash": claimed.session_hash, "family": claimed.family, "needs_login": claimed.needs_login}
        )
        update = self._update(share.id, values, "attribute_not_exists(workspace_id)")
        point = {"TableName": self._table, "Item": rows.session_row(claimed)}
        if not transact(self._dynamodb, [{"Update": update}, {"Put": point}, *self._relative(claimed)]):
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

    def spend_all(self, expenses: Sequence[Expense]) -> Sequence[Totals]:
        """Do as :meth:`spend` for each of ``expenses``, in one parallel round."""
        return parallel_map(lambda expense: self.spend(*expense), expenses)

    # ----------------------------------------------------------------------------------------- viewers

    def add_viewer(self, share_id: ShareId, viewer: Viewer) -> bool:
        """Have every later commit pushed to ``viewer``; False if that was so before."""
        answer = self._dynamodb.put_item(
            TableName=self._table,
            Item={
                **rows.key(share_id, rows.viewer_key(viewer.connection_id)),
                "protocol": {"S": viewer.protocol.value},
                **({"ticket": {"S": viewer.ticket}} if viewer.ticket else {}),
                "ttl": {"N": str(now_seconds() + VIEWER_SECONDS)},
            },
            ReturnValues="ALL_OLD",
        )
        return "Attributes" not in answer

    def remove_viewer(self, share_id: ShareId, connection_id: ConnectionId) -> None:
        """Stop pushing to ``connection_id``."""
        self._dynamodb.delete_item(TableName=self._table, Key=rows.key(share_id, rows.viewer_key(connection_id)))

    def viewers(self, share_id: ShareId) -> list[Viewer]:
        """Return the viewers of a share."""
        return [rows.viewer_from(row) for row in self._query(share_id, VIEWER, VIEWER + "~")]

    def count_viewers(self, share_id: ShareId) -> ViewerCount:
        """Return the number of viewers of a share. Reads all their rows, eventually consistently, which costs half."""
        viewers = scanned = 0
        for page in self._dynamodb.pages(**self._counting(share_id)):
            viewers += page["Count"]
            scanned += page["ScannedCount"]
        return ViewerCount(viewers=viewers, rows=scanned, at=now_seconds())

    def count_few_viewers(self, share_id: ShareId, most_rows: int) -> ViewerCount | None:
        """Return the number of viewers of a share as :meth:`count_viewers` does; None for more than ``most_rows`` rows.

        Reads no more rows than that, and one.
        """
        page = self._dynamodb.query(**self._counting(share_id), Limit=most_rows + 1)
        if page["ScannedCount"] > most_rows:
            return None
        return ViewerCount(viewers=page["Count"], rows=page["ScannedCount"], at=now_seconds())

    def _counting(self, share_id: ShareId) -> Row:
        """Return the query that counts viewers. Expired rows may wait for days until DynamoDB deletes them."""
        request = self._range(share_id, VIEWER, VIEWER + "~")
        request["ExpressionAttributeValues"][":now"] = {"N": str(now_seconds())}
        return request | {
            "ConsistentRead": False,
            "Select": "COUNT",
            "FilterExpression": "#ttl > :now",
            "ExpressionAttributeNames": {"#ttl": "ttl"},
        }

    def record_viewer_count(self, share_id: ShareId, count: ViewerCount) -> None:
        """Store the last count of a share's viewers in its row, unless the share is gone."""
        self._set(share_id, {"viewer_count": {"M": encode_struct(count)}}, "attribute_exists(pk)")

    def note_refusal(self, share_id: ShareId, refusal: Refusal) -> None:
        """Store in a share's row that publications were refused, unless the share is gone."""
        self._set(share_id, {"refusal": {"M": encode_struct(refusal)}}, "attribute_exists(pk)")

    # ---------------------------------------------------------------------------------------- redaction

    def put_findings(self, share_id: ShareId, found: Sequence[ItemFindings]) -> None:
        """Store the secrets that were found in items, in place of what was found in them before."""
        batch_put(self._dynamodb, self._table, [rows.findings_row(share_id, each) for each in found])

    def findings(self, share_id: ShareId) -> list[ItemFindings]:
        """Return what was found in the items of a share, in no order."""
        return [rows.findings_from(row) for row in self._query(share_id, FINDINGS, FINDINGS + "~")]

    # ---------------------------------------------------------------------------------------- comments

    def comments(self, share_id: ShareId) -> list[Comment]:
        """Return the comments of a share, in the order of their creation."""
        return [rows.comment_from(row) for row in self._query(share_id, COMMENT, COMMENT + "~")]

    def put_comment(self, share_id: ShareId, comment: Comment) -> None:
        """Store a new comment."""
        self._dynamodb.put_item(TableName=self._table, Item=rows.comment_row(share_id, comment))

    def replace_comment(self, share_id: ShareId, comment: Comment) -> bool:
        """Replace a comment; False if it was deleted meanwhile."""
        row = rows.comment_row(share_id, comment)
        return conditional_write(
            self._dynamodb.put_item, TableName=self._table, Item=row, ConditionExpression="attribute_exists(pk)"
        )

    def delete_comment(self, share_id: ShareId, comment_id: CommentId) -> None:
        """Delete a comment."""
        self._dynamodb.delete_item(TableName=self._table, Key=rows.comment_key(share_id, comment_id))

    # ------------------------------------------------------------------------------------------- purge

    def purge(self, share_id: ShareId) -> int:
        """Delete every row of a share's partition. Return their number."""
        keys = [
            {"pk": row["pk"], "sk": row["sk"]} for row in self._query(share_id, " ", "~", ProjectionExpression="pk, sk")
        ]
        batches = [keys[start : start + WRITES_AT_ONCE] for start in range(0, len(keys), WRITES_AT_ONCE)]
        parallel_map(lambda batch: batch_delete(self._dynamodb, self._table, batch), batches)
        return len(keys)


def _views(row: Row | None) -> int:
    return int(row["views"]["N"]) if row else 0
