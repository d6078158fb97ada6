"""Audit entries in MySQL."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from opencode_cloud.audit.store.tables import audit_entries

if TYPE_CHECKING:
    from opencode_cloud.audit.models import Entry
    from opencode_cloud.kit.sql import Connection


class AuditStore:
    """The table ``audit_entries``."""

    def add(self, connection: Connection, entry: Entry) -> None:
        """Write an entry in the transaction of ``connection``."""
        connection.execute(audit_entries.insert(), asdict(entry))
