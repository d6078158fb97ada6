"""Mails in MySQL."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from opencode_cloud.mail.store.tables import mails

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.mail.models import Mail


class MailStore:
    """The table ``mails``."""

    def add(self, connection: Connection, mail: Mail) -> None:
        """Write a new mail in the transaction of ``connection``."""
        connection.execute(mails.insert(), asdict(mail))
