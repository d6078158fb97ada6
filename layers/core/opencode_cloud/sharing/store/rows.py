"""Conversion between rows of the table ``shares`` and models (keys: ARCHITECTURE.md, "Tables")."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import CommentId, ConnectionId, ShareId, WorkspaceId
from opencode_cloud.kit.clock import day_of
from opencode_cloud.kit.dynamodb import binary, decode_struct, encode_struct, primary_key
from opencode_cloud.sharing.models import (
    Item,
    ItemFindings,
    Ownership,
    Payload,
    Position,
    Protocol,
    Share,
    ShareCursor,
    Snapshot,
    Tombstone,
    Viewer,
    share_not_found,
)
from opencode_cloud.sharing.protocol.capability import relative_hash
from opencode_cloud.sharing.protocol.comments import Comment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

META = "META"
LOG = "L#"
COUNTER = "C#VIEWS"  # sorts before the log, outside the range of queries by commits and viewers
FINDINGS = "F#"  # likewise
COMMENT = "K#"  # likewise
VIEWER = "V#"
LONGEST_KEY = 1024
"""Longest accepted key in bytes. DynamoDB takes 2,048 for a partition and 1,024 for a sort key; ours have some 80."""
Row = dict[str, Any]


class _Stored(msgspec.Struct, array_like=True):
    """An item inside a record. Array-like, since field names would be most of a small item."""

    key: str
    type: str
    data: msgspec.Raw
    body: str | None = None


class _Dated(_Stored, array_like=True):
    """An item with an arrival of its own: publications that were committed together keep theirs."""

    at: int = 0


_records = msgspec.json.Decoder(list[_Dated])


def log_key(seq: int) -> str:
    """Return the sort key of the record that begins with item ``seq``. Keys sort like the numbers."""
    return f"{LOG}{seq:012d}"


def viewer_key(connection_id: ConnectionId) -> str:
    """Return the sort key of a viewer's row."""
    return f"{VIEWER}{connection_id}"


def key(partition: str, sort: str) -> Row:
    """Return a primary key. Raises ``share_not_found`` (404) for an id that is longer than any key."""
    return primary_key(within_limit(partition), sort)


def within_limit(partition: str) -> str:
    """Return a partition key that DynamoDB takes. Raises ``share_not_found`` for any other, since it has no rows."""
    if not 0 < len(partition.encode("utf-8", "replace")) <= LONGEST_KEY:
        raise share_not_found()
    return partition


def session_key(session_hash: str) -> Row:
    """Return the key of the row that maps a session to its share."""
    return key(f"session#{session_hash}", "SHARE")


def session_row(share: Share) -> Row:
    """Return the row that maps the share's session to it."""
    return {**session_key(share.session_hash), "share_id": {"S": share.id}}


def relative_key(family: str, pseudonym: str) -> Row:
    """Return the key of the row that maps the pseudonym of a session to its share in a family."""
    return key(f"relative#{relative_hash(family, pseudonym)}", "SHARE")


def relative_row(share: Share) -> Row:
    """Return the row by which the share's relatives find it."""
    return {**relative_key(share.family, share.pseudonym), "share_id": {"S": share.id}}


def tombstone_key(share_id: ShareId) -> Row:
    """Return the key of a tombstone. It has its own partition, so that the share's can become empty."""
    return key(f"gone#{share_id}", "GONE")


def pack(items: Sequence[Item]) -> bytes:
    """Encode and compress the items of one record. An item's ``at`` is kept unless it is 0, the record's own."""
    stored = [_stored(item) for item in items]
    return zlib.compress(msgspec.json.encode(stored), 6)


def _stored(item: Item) -> _Stored:
    data = msgspec.Raw(item.data or b"null")
    if item.at:
        return _Dated(item.key, item.type, data, item.body, item.at)
    return _Stored(item.key, item.type, data, item.body)


def unpack(payload: bytes, first: int, at: int) -> tuple[Item, ...]:
    """Decode the output of :func:`pack`. The items are numbered from ``first``."""
    return tuple(
        Item(
            key=stored.key,
            type=stored.type,
            data=b"" if stored.body else bytes(stored.data),
            body=stored.body,
            seq=first + offset,
            at=stored.at or at,
        )
        for offset, stored in enumerate(_records.decode(zlib.decompress(payload)))
    )


def share_row(share: Share) -> Row:
    """Return the META row of a new share."""
    row: Row = {
        **key(share.id, META),
        **encode_struct(msgspec.structs.replace(share, ownership=None)),
        "hint_seq": {"N": str(share.hint.seq)},
        "hint_total": {"N": str(share.hint.total)},
    }
    del row["id"], row["hint"]
    if share.expires_at is not None:
        row |= expiry(share.expires_at)
    if share.ownership is not None:
        row |= ownership_values(share.ownership)
    return row


def expiry(expires_at: int) -> Row:
    """Return the attributes of a META row that hold the share's end, which puts it into the index of expiry."""
    return {"expires_at": {"N": str(expires_at)}, "expiry_day": {"S": day_of(expires_at)}}


def ownership_values(ownership: Ownership) -> Row:
    """Return the attributes of a META row with the ownership, which the indexes of workspaces and owners use."""
    return encode_struct(ownership) | {"owner_key": {"S": owner_key(ownership.workspace_id, ownership.owner)}}


def owner_key(workspace_id: WorkspaceId, owner: str) -> str:
    """Return the partition key of the index of owners. It contains the workspace, so that no list mixes workspaces."""
    return f"{workspace_id}#{owner}"


def cursor_key(attribute: str, value: str, cursor: ShareCursor) -> Row:
    """Return the key of ``cursor`` in the index whose partition is ``attribute``."""
    return {**key(cursor.share_id, META), attribute: {"S": value}, "created_at": {"N": str(cursor.created_at)}}


def share_from(row: Mapping[str, Any]) -> Share:
    """Read a META row."""
    return decode_struct(
        row,
        Share,
        id=row["pk"]["S"],
        hint={"seq": int(row["hint_seq"]["N"]), "total": int(row["hint_total"]["N"])},
        ownership=decode_struct(row, Ownership) if "workspace_id" in row else None,
    )


def snapshot_value(snapshot: Snapshot) -> Row:
    """Return the value of a META row's ``snapshot``."""
    return {"M": encode_struct(snapshot)}


def viewer_from(row: Mapping[str, Any]) -> Viewer:
    """Read a viewer's row."""
    ticket = row["ticket"]["S"] if "ticket" in row else ""
    return Viewer(row["sk"]["S"][len(VIEWER) :], Protocol(row["protocol"]["S"]), ticket)


def tombstone_row(tombstone: Tombstone, ttl: int) -> Row:
    """Return the row of a tombstone. It expires at ``ttl`` (seconds since the epoch)."""
    row = encode_struct(tombstone) | tombstone_key(tombstone.share_id) | {"ttl": {"N": str(ttl)}}
    del row["share_id"]
    return row


def tombstone_from(row: Mapping[str, Any]) -> Tombstone:
    """Read a tombstone."""
    return decode_struct(row, Tombstone, share_id=row["pk"]["S"].partition("#")[2])


def record_row(share_id: ShareId, first: int, end: Position, at: int, payload: Payload) -> Row:
    """Return the row of a log record: its compressed items, or the name of the object that holds them."""
    row: Row = {
        **key(share_id, log_key(first)),
        "last": {"N": str(end.seq)},
        "at": {"N": str(at)},
        "total": {"N": str(end.total)},
    }
    if payload.claim is not None:
        row["claim"] = {"S": payload.claim}
    else:
        row["payload"] = {"B": payload.packed}
    return row


def findings_row(share_id: ShareId, found: ItemFindings) -> Row:
    """Return the row of the secrets that were last found in an item."""
    # Keys of items may be longer than sort keys.
    name = hashlib.sha256(found.key.encode()).hexdigest()[:32]
    return {**key(share_id, FINDINGS + name), "findings": {"B": msgspec.json.encode(found)}}


def findings_from(row: Mapping[str, Any]) -> ItemFindings:
    """Read a row of :func:`findings_row`."""
    return msgspec.json.decode(binary(row["findings"]), type=ItemFindings)


def comment_key(share_id: ShareId, comment_id: CommentId) -> Row:
    """Return the key of a comment. Keys sort like the times of creation. Raises ``share_not_found`` for a long id."""
    return key(share_id, COMMENT + within_limit(comment_id))


def comment_row(share_id: ShareId, comment: Comment) -> Row:
    """Return the row of a comment."""
    return {**encode_struct(comment), **comment_key(share_id, comment.id)}


def comment_from(row: Mapping[str, Any]) -> Comment:
    """Read a row of :func:`comment_row`."""
    return decode_struct(row, Comment)


def is_same_record(stored: Mapping[str, Any], row: Row) -> bool:
    """Tell whether a stored row is the log record ``row``."""
    if "claim" in row or "claim" in stored:
        return stored.get("claim") == row.get("claim")
    same = all(stored.get(name) == row[name] for name in ("last", "at", "total"))
    return same and binary(stored["payload"]) == binary(row["payload"])
