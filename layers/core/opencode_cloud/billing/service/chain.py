"""The hash chain: each transaction carries the hash of the one before it.

``hash = SHA-256(0x00 || prev || length of body || body)``. The body is the stored bytes: canonical JSON with sorted
keys, and integers as the only numbers. It contains ids and amounts, and no personal data, so an erasure never breaks
the chain. ``clients/ledger_verifier`` checks an export without this code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from opencode_cloud.billing.models.transactions import LedgerEntry, LedgerHead, LedgerTransaction, TransactionDraft

GENESIS = LedgerHead(0, bytes(32))
"""The head of an empty chain."""
_LEAF = b"\x00"


def canonical(document: Any) -> bytes:
    """Return a document as canonical JSON."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def link(prev: bytes, body: bytes) -> bytes:
    """Return the hash of a body after the transaction whose hash is ``prev``."""
    return hashlib.sha256(_LEAF + prev + len(body).to_bytes(8, "big") + body).digest()


def terms_of(draft: TransactionDraft) -> bytes:
    """Return the digest of what was asked for: equal for a repetition, whatever the balances are by then."""
    return hashlib.sha256(
        canonical([draft.workspace_id, draft.cause.kind, draft.cause.id, draft.corrects, dict(draft.terms)])
    ).digest()


def append(
    head: LedgerHead, draft: TransactionDraft, entries: Sequence[LedgerEntry], booked_at: datetime
) -> tuple[LedgerHead, LedgerTransaction]:
    """Return the transaction of a draft as the next of the chain, and the new head."""
    seq = head.seq + 1
    period = period_of(draft.event_at, head.closed_through)
    body = canonical(
        {
            "seq": seq,
            "id": draft.id,
            "kind": draft.kind,
            "key": draft.key,
            "cause": [draft.cause.kind, draft.cause.id],
            "corrects": draft.corrects,
            "workspace": draft.workspace_id,
            "event_at": microseconds(draft.event_at),
            "booked_at": microseconds(booked_at),
            "period": period,
            "terms": dict(draft.terms),
            "entries": [
                [each.account_id, each.layer, each.amount, each.account_version, each.balance_after] for each in entries
            ],
        }
    )
    hashed = link(head.hash, body)
    transaction = LedgerTransaction(
        seq=seq,
        id=draft.id,
        kind=draft.kind,
        idempotency_key=draft.key,
        cause_kind=draft.cause.kind,
        cause_id=draft.cause.id,
        corrects=draft.corrects,
        workspace_id=draft.workspace_id,
        event_at=draft.event_at,
        booked_at=booked_at,
        period=period,
        terms=terms_of(draft),
        body=body,
        prev=head.hash,
        hash=hashed,
        entries=tuple(entries),
    )
    return LedgerHead(seq, hashed, head.closed_through), transaction


def period_of(event_at: datetime, closed_through: str) -> str:
    """Return the month that an event is booked into: its own while that is open, else the first open one."""
    own = f"{event_at:%Y-%m}"
    return own if own > closed_through else next_period(closed_through)


def next_period(period: str) -> str:
    """Return the month after ``period``."""
    year, month = int(period[:4]), int(period[5:])
    return f"{year + month // 12:04}-{month % 12 + 1:02}"


def period_bounds(period: str) -> tuple[datetime, datetime]:
    """Return the first instant of a month and that of the next one, in UTC: the month is half-open."""
    following = next_period(period)
    return _first(period), _first(following)


def microseconds(moment: datetime) -> int:
    """Return a naive UTC time as microseconds since the epoch, exactly."""
    passed = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def _first(period: str) -> datetime:
    return datetime(int(period[:4]), int(period[5:]), 1, tzinfo=UTC).replace(tzinfo=None)
