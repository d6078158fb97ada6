"""The front door's own answers, in the shape of all errors: a stable code, what to do, and an id to quote."""

import json
import logging
import uuid
from dataclasses import dataclass

logger = logging.getLogger("local.front_door")


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """An answer that does not come from the functions."""

    status: int
    code: str
    message: str

    def body(self) -> bytes:
        """Return the JSON document, and log it under its correlation id."""
        return json.dumps({"error": self.code, "message": self.message, "correlation_id": self._log()}).encode()

    def body_for_models(self) -> bytes:
        """Return the same in the shape that the SDKs of model providers look for, and log it."""
        error = {"type": self.code, "code": self.code, "message": self.message}
        return json.dumps({"type": "error", "error": error, "correlation_id": self._log()}).encode()

    def _log(self) -> str:
        correlation_id = str(uuid.uuid4())
        logger.warning("%d %s: %s (%s)", self.status, self.code, self.message, correlation_id)
        return correlation_id


def body_too_large(limit: int) -> Refusal:
    """Refuse a request body of more than `limit` bytes."""
    return Refusal(413, "payload_too_large", f"A request may have {limit:,} bytes: send less at once.")


def event_too_large(limit: int) -> Refusal:
    """Refuse a request that would not fit into a Lambda event of `limit` bytes."""
    return Refusal(413, "payload_too_large", f"A request may fill an event of {limit:,} bytes: send less at once.")


def answer_too_large() -> Refusal:
    """Refuse an answer that is larger than Lambda passes on: our fault, not the viewer's."""
    return Refusal(500, "internal_error", "The answer is larger than a function may send.")


def headers_too_large(limit: int) -> Refusal:
    """Refuse request headers of more than `limit` bytes."""
    return Refusal(431, "headers_too_large", f"Request line and headers may have {limit:,} bytes together.")


def other_host() -> Refusal:
    """Refuse a request to a name that is not ours (RFC 9110, 15.5.20)."""
    return Refusal(421, "misdirected_request", "This server does not serve that host. Ask at the address it printed.")


def not_a_websocket(path: str) -> Refusal:
    """Refuse a plain request to a path of the WebSocket API."""
    return Refusal(426, "upgrade_required", f"{path} speaks WebSocket: connect with ws:// or wss:// over HTTP/1.1.")


def no_object() -> Refusal:
    """Answer that the site has no document at a path."""
    return Refusal(404, "not_found", "There is no document at this address.")


def method_not_allowed() -> Refusal:
    """Refuse to change a read-only document."""
    return Refusal(405, "method_not_allowed", "This address can only be read.")


def gateway_timeout(seconds: float) -> Refusal:
    """Answer that the gateway sent no byte within the CDN's timeout."""
    return Refusal(504, "timeout", f"The gateway sent nothing for {seconds:g} seconds. Try again.")


def unavailable() -> Refusal:
    """Answer that the emulator does not respond."""
    return Refusal(503, "unavailable", "The service is starting or stopped. Try again in a few seconds.")


def too_slow(seconds: float) -> Refusal:
    """Answer that a function exceeded the gateway's timeout."""
    return Refusal(503, "timeout", f"No answer within {seconds:g} seconds. Try again.")
