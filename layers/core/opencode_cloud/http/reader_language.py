"""The language of a page for the reader of a request: by the header, or as the reader chose."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from opencode_cloud.http import requests
from opencode_cloud.http.paths import own_path
from opencode_cloud.kit import http_events
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.languages import LANGUAGES, PageLanguage, negotiate

COOKIE = "opencode_language"
"""Cookie with the tag of the language that a reader chose."""
PARAMETER = "language"
"""The parameter of a query that chooses a language."""
REMEMBERED_SECONDS = 365 * 24 * 3600


def language_of(event: http_events.Event) -> PageLanguage:
    """Return the language for the reader of a request.

    Its switches lead to the page of a GET. The answer to a form has none: its address may have no page.
    """
    tag = negotiate(http_events.header(event, "accept-language"), requests.cookie(event, COOKIE))
    if event["requestContext"]["http"]["method"] not in ("GET", "HEAD"):
        return PageLanguage(tag)
    kept = _other_parameters(event)
    return PageLanguage(
        tag, {other: f"?{urlencode([*kept, (PARAMETER, other)])}" for other in LANGUAGES if other != tag}
    )


def headers_of(language: PageLanguage) -> Mapping[str, str]:
    """Return the headers of a page in ``language``. ``Vary`` keeps a cache from giving it to readers of another one."""
    return {"Content-Language": language.tag, "Vary": "Accept, Accept-Language, Cookie"}


def switch(event: http_events.Event) -> HttpReply | None:
    """Answer a GET that chooses a language: remember it, and go to the page without the choice in its address.

    Returns None for other requests. A link of another site changes nothing.
    """
    chosen = http_events.query(event, PARAMETER)
    if event["requestContext"]["http"]["method"] != "GET" or chosen not in LANGUAGES:
        return None
    kept = urlencode(_other_parameters(event))
    reply = http_events.redirect(own_path(event["rawPath"] + (f"?{kept}" if kept else "")), HTTPStatus.SEE_OTHER)
    # A person who types an address or follows a link from a mail comes from no site.
    if http_events.header(event, "sec-fetch-site") in ("", "none", "same-origin"):
        reply.headers["Set-Cookie"] = requests.set_cookie(event, COOKIE, chosen, REMEMBERED_SECONDS)
    return reply


def _other_parameters(event: http_events.Event) -> list[tuple[str, str]]:
    pairs = parse_qsl(event.get("rawQueryString") or "", keep_blank_values=True)
    return [(name, value) for name, value in pairs if name != PARAMETER]
