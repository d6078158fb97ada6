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
from opencode_cloud.console.ranges import FIRST, DayRange, month_of, range_of
from opencode_cloud.console.sentences import page_of, predicate
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, encode_cursor
from opencode_cloud.kit.timestamps import rfc3339

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditReading

LONGEST_ACTION = 64
LONGEST_NAME = 254
KINDS = (
    *("member", "invitation", "key", "service_account", "provider", "budget", "policy", "configuration"),
    *("share", "call", "workspace", "domain", "device", "session"),
)
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
        """``GET .../audit?action=member.*&actor=...&from=2026-11-01``: entries, latest first."""
        action, actor = request.query("action")[:LONGEST_ACTION], request.query("actor")[:LONGEST_NAME]
        target = request.query("target")[:LONGEST_NAME]
        chosen = bool(request.query("from") or request.query("to"))
        days = range_of(request.query("from"), request.query("to"), DayRange(FIRST, month_of(utc_now()).until))
        after = decode_cursor(request.query("cursor"), tuple[datetime, str])
        wanted = AuditFilter(
            action=action,
            actor=actor,
            target=target,
            since=days.since if chosen else None,
            until=days.until if chosen else None,
        )
        rows = self._reading.find(request.workspace.id, wanted, after, DEFAULT_LIMIT + 1)
        shown = rows[:DEFAULT_LIMIT]
        named = {"action": action, "actor": actor, "target": target}
        query = {name: value for name, value in named.items() if value}
        period = {"from": days.first, "to": days.last} if chosen else {}
        cursor = encode_cursor((shown[-1].at, shown[-1].id)) if len(rows) > DEFAULT_LIMIT else ""
        times = {"from": rfc3339(days.since), "to": rfc3339(days.until)} if chosen else {}
        return self._app.page(
            request,
            entries=[(entry, predicate(entry), page_of(entry)) for entry in shown],
            action=action,
            actor=actor,
            kinds=KINDS,
            target=target,
            period=period,
            more=urlencode({**query, **period, "cursor": cursor}) if cursor else "",
            export=urlencode({**query, **times, "format": "csv"}),
        )
