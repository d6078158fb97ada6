"""The credentials and tickets with which a request reads a share."""

from __future__ import annotations

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.http.requests import cookie, request_of
from opencode_cloud.kit import http_events
from opencode_cloud.sharing.service.access import Visitor

TICKET = "x-share-ticket"


def ticket_cookie(share_id: ShareId) -> str:
    """Return the name (without prefix) of the cookie that records that this browser has entered the password."""
    return f"opencode_share_{share_id}"


def visitor_of(event: http_events.Event, share_id: ShareId) -> Visitor:
    """Return the unverified credentials and tickets of a request to read a share."""
    return Visitor(request_of(event), http_events.header(event, TICKET) or cookie(event, ticket_cookie(share_id)))
