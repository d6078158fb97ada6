"""The frame of pages for people: HTML answers, HTML errors, and cookies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from jinja2 import Environment
from markupsafe import Markup

from opencode_cloud.http.agents import UNKNOWN, describe
from opencode_cloud.http.paths import login_path
from opencode_cloud.http.reader_language import headers_of, language_of, switch
from opencode_cloud.kit import http_events, languages, money, web_assets
from opencode_cloud.kit.errors import NotFound, ServiceError, TooManyRequests, Unauthorized
from opencode_cloud.kit.http_app import HttpApp, answer_errors
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.release import VERSION

_WITH_FORMS = frozenset({"account", "console", "device", "operator"})
"""Sections of the site whose page shows the forms that are sent below it."""


MONTHS = (
    gettext_noop("January"),
    gettext_noop("February"),
    gettext_noop("March"),
    gettext_noop("April"),
    gettext_noop("May"),
    gettext_noop("June"),
    gettext_noop("July"),
    gettext_noop("August"),
    gettext_noop("September"),
    gettext_noop("October"),
    gettext_noop("November"),
    gettext_noop("December"),
)
SHORT_MONTHS = (
    gettext_noop("Jan"),
    gettext_noop("Feb"),
    gettext_noop("Mar"),
    gettext_noop("Apr"),
    gettext_noop("May"),
    gettext_noop("Jun"),
    gettext_noop("Jul"),
    gettext_noop("Aug"),
    gettext_noop("Sep"),
    gettext_noop("Oct"),
    gettext_noop("Nov"),
    gettext_noop("Dec"),
)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment of the console's templates, with filters for times, JSON, programs and money."""
    jinja = web_assets.environment()
    jinja.filters.update(  # pyright: ignore[reportUnknownMemberType]: untyped
        moment=moment, date=date, month=month, json=indented, agent=program, tick=tick, dollars=money.shown
    )
    jinja.globals.update(release=VERSION)  # pyright: ignore[reportUnknownMemberType]: untyped
    return jinja


def moment(seconds: int) -> Markup:
    """Return a time in seconds since the epoch as pages show it."""
    return date(datetime.fromtimestamp(seconds, UTC))


def date(at: datetime) -> Markup:
    """Return a time of a row, which is in UTC, as pages show it: in UTC, and by script in the reader's own zone."""
    minute = f"{at:%H:%M}"
    shown = _("%(day)s %(month)s %(year)s, %(time)s UTC", day=at.day, month=month(at), year=at.year, time=minute)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", shown, shown)


def month(at: datetime) -> str:
    """Return the name of a time's month."""
    return _(MONTHS[at.month - 1])


def tick(at: datetime, interval: str) -> str:
    """Return the label of a time in a chart whose bars are an hour, a day or a month."""
    name = _(SHORT_MONTHS[at.month - 1])
    if interval == "month":
        return _("%(month)s %(year)s", month=name, year=at.year)
    day = _("%(day)s %(month)s", day=at.day, month=name)
    return f"{day} {at:%H:%M}" if interval == "hour" else day


def program(user_agent: str) -> str:
    """Return the name of a program in the reader's language. Clients can send false names."""
    words = describe(user_agent)
    browser, is_browser, system = words.partition(" on ")
    if is_browser:
        return _("%(browser)s on %(system)s", browser=browser, system=system)
    return _("Unknown program") if words == UNKNOWN else words


def indented(value: Any) -> str:
    """Return a JSON value as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def render(template: str, **values: Any) -> str:
    """Write a page from ``web/templates/<template>``."""
    return environment().get_template(template).render(**values)


def page(
    body: str,
    *,
    status: int = HTTPStatus.OK,
    cookies: Sequence[str] = (),
    forms: str = "'self'",
    connect: str = "'none'",
) -> Response[str]:
    """Answer with a page.

    ``forms`` names where its forms may lead, also by redirects, and ``connect`` from where its scripts may fetch. Only
    our own files are its scripts.
    """
    policy = web_assets.content_security_policy(forms=forms, scripts="'self'", connect=connect)
    headers = web_assets.headers(policy)
    headers.update(headers_of(languages.present()))
    content_type = headers.pop("Content-Type")
    return with_cookies(Response(status, content_type, body, headers), cookies)  # pyright: ignore[reportArgumentType]


def see(location: str, cookies: Sequence[str] = ()) -> Response[str]:
    """Redirect the browser by GET; caches must not keep the answer."""
    headers = {**http_events.PRIVATE, "Location": location, "Referrer-Policy": "no-referrer"}
    response: Response[str] = Response(HTTPStatus.SEE_OTHER, "text/plain", "", headers)  # pyright: ignore[reportArgumentType]
    return with_cookies(response, cookies)


def with_cookies(response: Response[str], lines: Sequence[str]) -> Response[str]:
    """Add ``Set-Cookie`` lines (``http.requests.set_cookie``) to an answer."""
    response.cookies.extend(_Line(line) for line in lines)  # pyright: ignore[reportArgumentType]
    return response


class _Line(str):
    """A cookie that is written already; Powertools asks only for its text."""

    __slots__ = ()


class _PagesApp(HttpApp):
    """Answers in the language of the reader, and remembers the one that a reader chooses."""

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer an event."""
        if chosen := switch(event):
            return chosen.as_event()
        with languages.speaking(language_of(event)):
            return super().resolve(event, context)


def pages_app() -> APIGatewayHttpResolver:
    """Return a resolver that answers errors with pages, and sends visitors without a session to sign in and back."""
    app = _PagesApp()

    def refuse(error: ServiceError) -> Response[str]:
        if isinstance(error, Unauthorized):
            return see(login_path(_page_of(app.current_event.raw_event)))
        return problem(error)

    answer_errors(app, refuse)

    @app.not_found  # pyright: ignore[reportUnknownMemberType]
    def missing(_error: Exception) -> Response[str]:  # pyright: ignore[reportUnusedFunction]
        return problem(NotFound("page_not_found", "There is no page at this URL."))

    return app


def _page_of(event: http_events.Event) -> str:
    """Return the page to open after signing in: the requested one, or the one whose form was sent."""
    path: str = event["rawPath"]
    if event["requestContext"]["http"]["method"] == "GET":
        query = event.get("rawQueryString") or ""
        return path + (f"?{query}" if query else "")
    section = path.split("/")[1]
    return path if section == "invitations" else f"/{section}" if section in _WITH_FORMS else "/"


def problem(error: ServiceError) -> Response[str]:
    """Answer with a page that describes the error, with its correlation id in the logs."""
    title = {
        HTTPStatus.FORBIDDEN: gettext_noop("Not permitted"),
        HTTPStatus.NOT_FOUND: gettext_noop("Page not found"),
        HTTPStatus.TOO_MANY_REQUESTS: gettext_noop("Too many attempts"),
        HTTPStatus.INTERNAL_SERVER_ERROR: gettext_noop("Internal error"),
        HTTPStatus.SERVICE_UNAVAILABLE: gettext_noop("Temporarily unavailable"),
    }.get(HTTPStatus(error.status), gettext_noop("Something went wrong"))
    body = render(
        "identity/problem.html",
        title=title,
        words=_(error.sentence, **error.values),
        correlation_id=logger.get_correlation_id(),
    )
    response = page(body, status=error.status)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    return response
