"""Sessions of browsers and devices."""

from __future__ import annotations

from typing import Any

from opencode_cloud.contracts.ids import AccountId, SessionId
from opencode_cloud.identity.models import Session
from opencode_cloud.identity.store.rows import KEPT_SECONDS, SessionRows, parsed
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import now_seconds


class SessionsStore:
    """Rows ``session#<sid>``. A session with ``ended_at`` has ended in every plane at once (invariant I9)."""

    def __init__(self, table: str) -> None:
        self._rows = SessionRows(table)

    def add(self, session: Session) -> None:
        """Write a new session."""
        self._rows.put(f"session#{session.id}", session, session.expires_at)

    def get(self, session_id: SessionId) -> Session | None:
        """Return a session that was not ended. It may have expired."""
        return self._rows.get(f"session#{session_id}", Session)

    def of_account(self, account_id: AccountId) -> list[Session]:
        """Return the sessions of a person that are neither ended nor expired, latest use first.

        The index follows the table within a second, so a session that has just begun may be missing.
        """
        rows: list[Any] = []
        pages = aws.dynamodb().pages(
            TableName=self._rows.table,
            IndexName="account",
            KeyConditionExpression="account_id = :account",
            FilterExpression="begins_with(pk, :session) AND attribute_not_exists(ended_at) AND expires_at > :now",
            ExpressionAttributeValues={
                ":account": {"S": account_id},
                ":session": {"S": "session#"},
                ":now": {"N": str(now_seconds())},
            },
        )
        for page in pages:
            rows += page["Items"]
        return sorted((parsed(row, Session) for row in rows), key=lambda session: session.seen_at, reverse=True)

    def end(self, session_id: SessionId) -> None:
        """End a session permanently. A session that was already ended stays unchanged."""
        self._rows.update(f"session#{session_id}", {"ended_at": now_seconds()}, "")

    def end_all(self, account_id: AccountId) -> int:
        """End all sessions of a person. Return their number."""
        sessions = self.of_account(account_id)
        for session in sessions:
            self.end(session.id)
        return len(sessions)

    def note_use(self, session: Session, expires_at: int) -> None:
        """Record the use of a session, and extend it until ``expires_at``."""
        now = now_seconds()
        ttl = {"ttl": expires_at + KEPT_SECONDS}
        self._rows.update(f"session#{session.id}", {"seen_at": now, "expires_at": expires_at, **ttl}, "")

    def rotate(self, session: Session, presented: str, successor: str, expires_at: int) -> bool:
        """Replace the refresh token with the hash ``presented``; False when a concurrent process was first."""
        now = now_seconds()
        values = {
            "refresh": successor,
            "previous": presented,
            "rotated_at": now,
            "seen_at": now,
            "expires_at": expires_at,
            "ttl": expires_at + KEPT_SECONDS,
        }
        return self._rows.update(f"session#{session.id}", values, "#refresh = :presented", {"presented": presented})
