"""Builds the operators' pages, for deployments that list operators (docs/decisions/069)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.composition.services.billing import billing_services
from opencode_cloud.identity.store.accounts import AccountsStore
from opencode_cloud.identity.store.sessions import SessionsStore
from opencode_cloud.kit.dead_letters import DeadLetters
from opencode_cloud.kit.newer_release import NewerRelease
from opencode_cloud.kit.outbound_http import OutboundConnections
from opencode_cloud.operators.browser import OperatorApp
from opencode_cloud.operators.directory import Directory
from opencode_cloud.operators.pages import OperatorPages
from opencode_cloud.operators.store.directory import DirectoryStore

if TYPE_CHECKING:
    from opencode_cloud.composition.console_parts import ConsoleParts
    from opencode_cloud.contracts.ids import SessionId

PURGES = "purges"
"""Its dead-letter queue also has failed events of another form, so it cannot be replayed as a whole."""


def operator_pages(parts: ConsoleParts) -> OperatorPages:
    """Return the pages."""
    plane, settings = parts.plane, parts.settings
    sessions = SessionsStore(settings.sessions_table)

    def began_at(session_id: SessionId) -> int:
        session = sessions.get(session_id)
        return session.created_at if session else 0

    billing = billing_services(plane.database, plane.outbox, plane.audit, enabled=settings.billing)
    entries = (entry.partition("=") for entry in settings.operated_queues)
    queues = {name: url for name, _, url in entries}
    return OperatorPages(
        OperatorApp(parts.access, began_at, plane.deployment_key, settings.operators, billing=billing is not None),
        Directory(plane.outbox, AccountsStore(), parts.team, plane.audit),
        DirectoryStore(plane.database),
        DeadLetters(queues, kept=[PURGES]),
        plane.outbox,
        plane.audit,
        NewerRelease(settings.releases_url, OutboundConnections(private=False)).latest,
        billing,
    )
