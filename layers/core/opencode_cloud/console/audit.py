"""The page of the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.audit.models import AuditFilter
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditReading

LONGEST_ACTION = 64
LONGEST_NAME = 254
KINDS = ("member", "invitation", "key", "service_account", "policy", "configuration", "share", "workspace", "domain")
"""Prefixes of actions that the filter suggests. Other prefixes can be typed."""


class AuditPages:
    """The audit trail of a workspace, for members with ``audit:read``."""

    PAGE: ClassVar[ConsolePage] = menu.AUDIT

    def __init__(self, app: ConsoleApp, reading: AuditReading) -> None:
        self._app = app
        self._reading = reading

    def mount(self) -> None:
        """Add every page."""
        self._app.add(self.PAGE, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../audit?action=member.*&actor=...``: entries, latest first."""
        action, actor = request.query("action")[:LONGEST_ACTION], request.query("actor")[:LONGEST_NAME]
        after = decode_cursor(request.query("cursor"), tuple[datetime, str])
        rows = self._reading.find(
            request.workspace.id, AuditFilter(action=action, actor=actor), after, DEFAULT_LIMIT + 1
        )
        shown = rows[:DEFAULT_LIMIT]
        query = {name: value for name, value in (("action", action), ("actor", actor)) if value}
        more = {**query, "cursor": encode_cursor((shown[-1].at, shown[-1].id))} if len(rows) > DEFAULT_LIMIT else None
        return self._app.page(
            request,
            entries=shown,
            action=action,
            actor=actor,
            kinds=KINDS,
            more=urlencode(more) if more else "",
            export=urlencode({**query, "format": "csv"}),
        )
