"""Mails in MySQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.contracts.ids import MailId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.mail.models import Mail, MailState, Suppression
from opencode_cloud.schema.mail import mails, suppressions

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

REASON_LENGTH = 255
PURGE_BATCH = 1000


class MailStore:
    """The tables ``mails`` and ``suppressions``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[Connection]:
        """Give a connection inside a transaction."""
        return self._database.transaction()

    def add(self, connection: Connection, mail: Mail) -> None:
        """Write a new mail in the transaction of ``connection``."""
        connection.execute(mails.insert(), msgspec.structs.asdict(mail))

    def get(self, connection: Connection, mail_id: MailId) -> Mail | None:
        """Return a mail, locked until the transaction ends, which serializes two deliveries of one message."""
        row = connection.execute(select(mails).where(mails.c.id == mail_id).with_for_update()).mappings().one_or_none()
        return _mail(row) if row is not None else None

    def settle(
        self,
        connection: Connection,
        mail: Mail,
        state: MailState,
        *,
        reason: str = "",
        attempts: int | None = None,
        message_id: str | None = None,
    ) -> None:
        """Write the state of a mail."""
        connection.execute(
            mails.update()
            .where(mails.c.id == mail.id)
            .values(
                state=state,
                reason=reason[:REASON_LENGTH],
                attempts=mail.attempts if attempts is None else attempts,
                message_id=message_id or mail.message_id,
                updated_at=utc_now(),
            )
        )

    def suppression(self, connection: Connection, recipient: str) -> Suppression | None:
        """Return the suppression of an address; None when mails may be sent there."""
        query = select(suppressions).where(suppressions.c.recipient == recipient)
        row = connection.execute(query).mappings().one_or_none()
        return Suppression(row["recipient"], MailState(row["state"]), row["reason"]) if row is not None else None

    def suppress(self, connection: Connection, mail: Mail, state: MailState, reason: str) -> None:
        """Suppress the mail's recipient. A complaint replaces a bounce, not the reverse."""
        row: dict[str, Any] = {
            "recipient": mail.recipient,
            "state": state,
            "reason": reason[:REASON_LENGTH],
            "mail_id": mail.id,
            "created_at": utc_now(),
        }
        statement = insert(suppressions).values(row)
        if state is MailState.COMPLAINED:
            statement = statement.on_duplicate_key_update(state=state, reason=row["reason"], mail_id=mail.id)
        else:
            statement = statement.on_duplicate_key_update(recipient=suppressions.c.recipient)
        connection.execute(statement)

    def lift_bounce(self, connection: Connection, recipient: str) -> None:
        """Lift the suppression of an address after a bounce. A suppression after a complaint stays."""
        matches = (suppressions.c.recipient == recipient) & (suppressions.c.state == MailState.BOUNCED)
        connection.execute(suppressions.delete().where(matches))

    def purge(self, before: datetime) -> int:
        """Delete one batch of mails that are older than ``before``; return how many."""
        with self._database.transaction() as connection:
            old = select(mails.c.id).where(mails.c.created_at < before).order_by(mails.c.created_at).limit(PURGE_BATCH)
            ids = connection.execute(old).scalars().all()
            if ids:
                connection.execute(mails.delete().where(mails.c.id.in_(ids)))
        return len(ids)


def _mail(row: Any) -> Mail:
    values: dict[str, Any] = {**row, "template": Template(row["template"]), "state": MailState(row["state"])}
    return Mail(**values)
