"""The live list of calls: a script of the page asks again and again for the calls that it has not shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.call_list import CallRow, filter_of
from opencode_cloud.console.ranges import DAY, DayRange, month_of, range_of
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import page, render
from opencode_cloud.kit import http_events
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import base64url
from opencode_cloud.kit.pagination import decode_id, encode_cursor

if TYPE_CHECKING:
    from opencode_cloud.console.app import ConsoleApp, PageRequest
    from opencode_cloud.console.call_list import CallFilter, CallList
    from opencode_cloud.console.page import ConsolePage

MOST = 200
"""The most calls of the live list. Its script has the same number."""
MARK_BYTES = 5
"""Two of the calls in a list have the same mark about once in 50 million lists."""
_MARK = len(base64url(bytes(MARK_BYTES)))


class LiveCalls:
    """Answers a script with the newest calls that it has not shown yet.

    A call is written when it ends, by its time of arrival, so a later answer may have an earlier call. The cursor names
    the calls of the list and no time, so each call is sent once in any order of writing.
    """

    PAGE: ClassVar[ConsolePage] = menu.CALLS

    def __init__(self, app: ConsoleApp, calls: CallList) -> None:
        self._app = app
        self._calls = calls

    def mount(self) -> None:
        """Add the route."""
        self._app.get(self.PAGE, f"{self.PAGE.path}/live", self.show, Permission.USAGE_OWN)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../calls/live?show=&from=&model=&after=``: rows of calls; 204 without any new one."""
        seen = decode_id(request.query("after"))
        wanted = live_filter(request)
        newest = self._calls.newest(request, bounded(wanted, utc_now()), None, MOST + 1)
        listed = newest[:MOST]
        fresh = unseen(listed, seen or "")
        if seen and not fresh:
            return Response(HTTPStatus.NO_CONTENT, "text/html", "", {**http_events.PRIVATE})
        older = encode_cursor((listed[-1].at, listed[-1].id)) if len(newest) > MOST else ""
        asked = {"show": wanted.show, "from": wanted.days.first, "to": wanted.days.last, **wanted.only}
        body = render(
            "administration/live_calls.html",
            base=request.base,
            calls=fresh,
            after=encode_cursor((marks(row.id for row in listed),)),
            older=urlencode({**asked, "cursor": older}) if older else "",
        )
        return page(body)


def live_filter(request: PageRequest) -> CallFilter:
    """Return the filter of a request, whose last day is always today in UTC."""
    wanted, today = filter_of(request), f"{utc_now():%Y-%m-%d}"
    days = range_of(request.query("from"), today, month_of(utc_now()))
    return msgspec.structs.replace(wanted, days=days)


def bounded(wanted: CallFilter, now: datetime) -> CallFilter:
    """Return a filter with the calls of the last day: to find few matches, the database reads the whole range."""
    if not wanted.show and not wanted.only:
        return wanted
    return msgspec.structs.replace(wanted, days=DayRange(max(wanted.days.since, now - DAY), wanted.days.until))


def marks(call_ids: Iterable[str]) -> str:
    """Return the marks of calls, one after the other."""
    return "".join(_mark(each) for each in call_ids)


def unseen(listed: Sequence[CallRow], seen: str) -> Sequence[CallRow]:
    """Return the calls of a list whose marks are not in ``seen``, a result of :func:`marks`."""
    known = {seen[at : at + _MARK] for at in range(0, len(seen), _MARK)}
    return [row for row in listed if _mark(row.id) not in known]


def _mark(call_id: str) -> str:
    return base64url(hashlib.sha256(call_id.encode()).digest()[:MARK_BYTES])
