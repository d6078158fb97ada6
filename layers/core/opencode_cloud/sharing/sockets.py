"""The WebSocket routes of sharing (docs/protocol.md, "Live protocol" and "Legacy socket")."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import foreign_json, http_events
from opencode_cloud.kit.errors import BadRequest, Forbidden, Gone, ServiceError, unexpected
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import LONGEST_SHARE_ID, Protocol, share_not_found
from opencode_cloud.sharing.protocol.frames import ack_frame, error_frame, gone_frame
from opencode_cloud.sharing.protocol.items import parse
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.viewing import Viewing

Answer = dict[str, Any]


class LiveMessage(msgspec.Struct):
    """Any message of a client. Each action checks the fields that it needs."""

    action: str
    share: str = ""
    after: int | None = None
    secret: str = ""
    ticket: str = ""
    items: list[msgspec.Raw] = []
    id: str | None = None


class SharingSockets:
    """The routes of the WebSocket API, over the services of sharing."""

    def __init__(self, viewing: Viewing, publishing: Publishing, owning: Owning) -> None:
        self._viewing = viewing
        self._publishing = publishing
        self._owning = owning

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Answer one event of the WebSocket API. The body of an answer to a message is sent over the socket."""
        context = event["requestContext"]
        connection = context["connectionId"]
        match context["eventType"]:
            case "CONNECT":
                return self._connect(connection, event)
            case "DISCONNECT":
                self._viewing.leave(connection)
                return {"statusCode": HTTPStatus.OK}
            case _:
                return self._message(connection, event)

    def _connect(self, connection_id: ConnectionId, event: Mapping[str, Any]) -> Answer:
        if http_events.query(event, "protocol") != Protocol.POLL:
            return {"statusCode": HTTPStatus.OK}
        try:
            share_id = http_events.query(event, "id")
            if not share_id:
                raise BadRequest("missing_id", "Name the share: /share_poll?id=<share id>.")
            self._viewing.poll(connection_id, ShareId(share_id))
        except ServiceError as error:
            body = http_events.error_body(error.code, error.message, event["requestContext"]["requestId"])
            # API Gateway passes on no header of this answer, and CloudFront keeps a 410 without one for all sockets.
            status = HTTPStatus.NOT_FOUND if error.status is HTTPStatus.GONE else error.status
            return {"statusCode": int(status), "body": body.decode()}
        return {"statusCode": HTTPStatus.OK}

    def _message(self, connection_id: ConnectionId, event: Mapping[str, Any]) -> Answer:
        message = None
        try:
            message = decode_message(http_events.raw_body(event))
            frame = self._act(connection_id, message, http_events.arrival_ms(event))
        except Exception as error:  # noqa: BLE001 - the last resort: logged, and answered as an error frame
            frame = failure_frame(error, message)
        return {"statusCode": HTTPStatus.OK, **({"body": frame.decode()} if frame else {})}

    def _act(self, connection_id: ConnectionId, message: LiveMessage, at: int) -> bytes | None:
        share_id = share_named(message)
        match message.action:
            case "resume":
                self._viewing.resume(connection_id, share_id, max(message.after or 0, 0), message.ticket)
                return None
            case "ping":
                return self._viewing.ping(share_id, message.ticket)
            case _:
                return self._sync(share_id, message, at)

    def _sync(self, share_id: ShareId, message: LiveMessage, at: int) -> bytes:
        try:
            commit = self._publishing.sync(share_id, message.secret, parse(message.items), at)
        except Forbidden as error:
            self._owning.record_refused(error, share_id)
            raise
        return ack_frame(message.id, commit.seq)


def decode_message(body: bytes) -> LiveMessage:
    """Decode a client's message. Raises ``invalid_message`` (400)."""
    try:
        return foreign_json.decode(body, LiveMessage)
    except ValueError as error:
        raise BadRequest("invalid_message", f"A message must be JSON of the documented form: {error}.") from error


def share_named(message: LiveMessage) -> ShareId:
    """Return the share of a message. Raises ``unknown_action`` or ``missing_share`` (400), or ``share_not_found``."""
    if message.action not in ("resume", "ping", "sync"):
        raise BadRequest("unknown_action", "The field `action` must be resume, ping or sync.")
    if not message.share:
        raise BadRequest("missing_share", "Name the share in the field `share`.")
    if len(message.share) > LONGEST_SHARE_ID:
        raise share_not_found()
    return ShareId(message.share)


def failure_frame(error: Exception, message: LiveMessage | None) -> bytes:
    """Return the frame that answers a failed message. An unexpected error is logged."""
    if isinstance(error, Gone):
        return gone_frame(ShareId(message.share if message else ""))
    if not isinstance(error, ServiceError):
        logger.error("message failed", exc_info=error)
        error = unexpected()
    return error_frame(error.code, error.message, int(error.status), message.id if message else None)
