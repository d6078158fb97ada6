"""Read credentials and origin of a request (bearer, session cookie), and make and check tokens of forms."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlsplit

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest, Forbidden
from opencode_cloud.kit.ids import base64url
from opencode_cloud.kit.log import logger

SESSION_COOKIE = "opencode_session"
"""Cookie of a signed-in browser. Over https its name has the prefix ``__Host-``."""
BROWSER = "opencode_browser"
"""Cookie of a browser before sign-in. A sign-in must end in the browser in which it began."""
_CREDENTIALS = ("authorization", "x-api-key", "api-key")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def request_of(event: http_events.Event) -> AccessRequest:
    """Return credentials, address and correlation id of a request.

    A bearer in ``Authorization``, or else a key in one of the headers that model clients use, precedes the cookie.
    """
    key = http_events.header(event, "x-api-key") or http_events.header(event, "api-key")
    return AccessRequest(
        bearer=http_events.bearer(event) or key.strip(),
        cookie=cookie(event, SESSION_COOKIE),
        address=http_events.source_address(event),
        correlation_id=logger.get_correlation_id(),
    )


def subject_of(event: http_events.Event) -> str:
    """Return the subject for rate limits of an unauthenticated request: its credential, or else its address.

    Cookies other than the session's are ignored. Otherwise a client could evade its limit by varying them.
    """
    for name in _CREDENTIALS:
        if value := http_events.header(event, name):
            return value
    pairs = _cookie_pairs(event)
    sessions = [pair.strip() for pair in pairs if pair.partition("=")[0].strip().endswith(SESSION_COOKIE)]
    return sessions[0] if sessions else http_events.source_network(event)


def check_same_origin(event: http_events.Event) -> None:
    """Refuse an unsafe request that the session's cookie authenticates, unless one of our pages sent it.

    Raises :class:`Forbidden`. Browsers send ``Sec-Fetch-Site`` or ``Origin`` with every unsafe request. A request with
    a bearer needs no check, since browsers do not add a bearer by themselves.
    """
    request = request_of(event)
    if event["requestContext"]["http"]["method"] in _SAFE or request.bearer or not request.cookie:
        return
    if not same_origin(event):
        raise Forbidden("cross_origin", "This request was not sent by a page of this site.")


def same_origin(event: http_events.Event) -> bool:
    """Tell whether, by the browser's headers, one of our pages sent this request."""
    site = http_events.header(event, "sec-fetch-site")
    if site:
        return site == "same-origin"
    origin = http_events.header(event, "origin")
    return bool(origin) and urlsplit(origin).netloc == http_events.host(event)


def is_secure(event: http_events.Event) -> bool:
    """Tell whether the browser uses https to the edge."""
    return http_events.scheme(event) == "https"


def cookie_name(event: http_events.Event, name: str) -> str:
    """Return the browser's name of our cookie. The prefix ``__Host-`` needs https."""
    return f"__Host-{name}" if is_secure(event) else name


def cookie(event: http_events.Event, name: str) -> str:
    """Return the value of our cookie ``name`` (without prefix); empty without one."""
    wanted = cookie_name(event, name)
    for pair in _cookie_pairs(event):
        key, _, value = pair.partition("=")
        if key.strip() == wanted:
            return value.strip().strip('"')
    return ""


def _cookie_pairs(event: http_events.Event) -> list[str]:
    """Return the pairs ``name=value`` of a request's cookies. No value contains a semicolon (RFC 6265, 4.1.1)."""
    lines: list[str] = [*(event.get("cookies") or ()), http_events.header(event, "cookie")]
    return [pair for line in lines for pair in line.split(";")]


def set_cookie(event: http_events.Event, name: str, value: str, max_age: int | None = None) -> str:
    """Return a ``Set-Cookie`` line for this host only, hidden from scripts and from other sites' requests.

    ``max_age`` is in seconds. None makes a session cookie, 0 removes the cookie.
    """
    parts = [f"{cookie_name(event, name)}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    parts += ["Secure"] if is_secure(event) else []
    parts += [f"Max-Age={max_age}"] if max_age is not None else []
    return "; ".join(parts)


def form_token(key: str, browser: str, form: str) -> str:
    """Return the token of ``form`` (its action) for the browser with the cookie value ``browser``."""
    return base64url(hmac.digest(key.encode(), f"form\0{form}\0{browser}".encode(), "sha256"))


def form_pairs(event: http_events.Event, most: int, *, keep_blank: bool = False) -> list[tuple[str, str]]:
    """Return the fields of a submitted form; raises ``malformed_form`` (400) for more than ``most``."""
    text = http_events.raw_body(event).decode(errors="replace")
    try:
        return parse_qsl(text, keep_blank_values=keep_blank, max_num_fields=most)
    except ValueError as error:
        raise BadRequest("malformed_form", f"A form has at most {most} fields.") from error


def form_fields(event: http_events.Event, most: int, *, keep_blank: bool = False) -> dict[str, list[str]]:
    """Return the values of each field of a submitted form; raises as :func:`form_pairs` does."""
    fields: dict[str, list[str]] = {}
    for name, value in form_pairs(event, most, keep_blank=keep_blank):
        fields.setdefault(name, []).append(value)
    return fields


def check_form_token(key: str, browser: str, form: str, token: str) -> None:
    """Raise :class:`Forbidden` for a form that was not rendered for this browser."""
    if not browser or not hmac.compare_digest(form_token(key, browser, form).encode(), token.encode()):
        raise Forbidden("stale_form", "This form is no longer valid. Go back, reload the page, and try again.")
