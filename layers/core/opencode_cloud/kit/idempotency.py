"""``Idempotency-Key`` on POST: a repeated request gets the first answer and changes nothing.

Powertools' idempotency was considered and is not used. It stores answers in clear text, and some answers hold secret
keys that are stored nowhere else. It reads only the function's argument, so it cannot separate callers. It does not
support a key that comes with each request. Without these parts it would save only one conditional write.

A record is valid for a day. Its answer is encrypted (AES-256-GCM) with a key derived from the deployment's key, the
subject and the client's ``Idempotency-Key``. The table holds only a hash of that key, so a dump of the table does not
reveal the answers.

A limit: a function can be killed after it commits its change and before it stores the answer. A retry then gets 409
until the lease ends, and after that the request runs a second time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.kit import aws, http_events
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.dynamodb import ConditionFailed, binary, primary_key
from opencode_cloud.kit.errors import BadRequest, Conflict, Unprocessable

HEADER = "idempotency-key"
REPLAYED = "Idempotent-Replayed"
LEASE_SECONDS = 30
"""An HTTP API waits this long for its function."""

Next = Callable[[APIGatewayHttpResolver], "Response[Any]"]
_KEY = re.compile(r"[\x21-\x7e]{8,255}")
_NONCE_BYTES = 12


class _Answer(msgspec.Struct):
    status: int
    content_type: str | None
    body: Any
    headers: dict[str, str | list[str]]
    base64: bool


class Idempotency:
    """Records of answered requests: rows ``idempotency#<hash>`` of the table ``sessions``."""

    def __init__(
        self,
        table: str,
        key: Callable[[], str],
        subject: Callable[[http_events.Event], str],
        admit: Callable[[http_events.Event], None],
    ) -> None:
        """Keep records in ``table``.

        Args:
            table: Name of the table ``sessions``.
            key: Returns the deployment's key.
            subject: Returns the caller's id, which stays the same when the token changes.
            admit: Raises the route's own error if the caller has lost access since the first request. It guards stored
                answers that have a body.
        """
        self._table = table
        self._key = key
        self._subject = subject
        self._admit = admit

    def answer_once(
        self, event: http_events.Event, subject: str, client_key: str, answer: Callable[[], Response[Any]]
    ) -> Response[Any]:
        """Return what ``answer`` returns, and for a repetition of ``event`` with ``client_key`` the first answer.

        The caller must have checked that ``subject`` may see a stored answer. Raises ``idempotency_in_progress`` (409)
        while another request with this key is served.
        """
        record = self._record_of(event, subject, client_key)
        stored = record.begin()
        return _served(record, answer) if stored is None else stored

    def middleware(self) -> Any:
        """Return a middleware that gives repeated requests their first answer."""

        def once(app: APIGatewayHttpResolver, next_middleware: Next) -> Response[Any]:
            event = app.current_event.raw_event
            if app.current_event.http_method != "POST" or HEADER not in (event.get("headers") or {}):
                return next_middleware(app)
            record = self._record(event)
            stored = record.begin()
            if stored is not None:
                if stored.body:
                    self._admit(event)
                return stored
            return _served(record, lambda: next_middleware(app))

        return once

    def _record(self, event: http_events.Event) -> _Record:
        client_key = http_events.header(event, HEADER)
        if not _KEY.fullmatch(client_key):
            raise BadRequest(
                "invalid_idempotency_key", "`Idempotency-Key` must be 8 to 255 printable characters, such as a UUID."
            )
        return self._record_of(event, self._subject(event), client_key)

    def _record_of(self, event: http_events.Event, subject: str, client_key: str) -> _Record:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # few requests have a key

        key = self._key()
        request = (event["requestContext"]["http"]["method"], event["rawPath"], event.get("rawQueryString") or "")
        return _Record(
            table=self._table,
            pk=f"idempotency#{derive(key, 'idempotency-record', subject, client_key).hex()}",
            # Bodies may hold secrets. A plain hash would allow guesses to be checked, so this one is keyed.
            fingerprint=derive(
                key, "idempotency-request", subject, client_key, *request, http_events.raw_body(event).hex()
            ).hex(),
            seal=AESGCM(derive(key, "idempotency-answer", subject, client_key)),
        )


def _served(record: _Record, answer: Callable[[], Response[Any]]) -> Response[Any]:
    try:
        response = answer()
    except Exception:
        # Either nothing was changed or the outcome is unknown, so a retry with the same key must be allowed.
        record.forget()
        raise
    record.finish(response)
    return response


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    table: str
    pk: str
    fingerprint: str
    seal: Any

    def begin(self) -> Response[Any] | None:
        """Take the record for this request; return the answer if there is one already."""
        now = now_seconds()
        try:
            aws.dynamodb().put_item(
                TableName=self.table,
                Item={
                    "pk": {"S": self.pk},
                    "fingerprint": {"S": self.fingerprint},
                    "lease": {"N": str(now + LEASE_SECONDS)},
                    "ttl": {"N": str(now + DAY_SECONDS)},
                },
                ConditionExpression=(
                    "attribute_not_exists(pk) OR #ttl < :now"
                    " OR (attribute_not_exists(answer) AND #lease < :now AND fingerprint = :fingerprint)"
                ),
                ExpressionAttributeNames={"#ttl": "ttl", "#lease": "lease"},
                ExpressionAttributeValues={":now": {"N": str(now)}, ":fingerprint": {"S": self.fingerprint}},
            )
        except ConditionFailed:
            return self._stored()
        return None

    def _stored(self) -> Response[Any]:
        row: Any = aws.dynamodb().get_item(TableName=self.table, Key=primary_key(self.pk), ConsistentRead=True)
        item = row.get("Item")
        if item is not None and item["fingerprint"]["S"] != self.fingerprint:
            raise Unprocessable(
                "idempotency_key_reused", "This `Idempotency-Key` was used for a different request. Use a new one."
            )
        if item is None or "answer" not in item:
            raise Conflict("idempotency_in_progress", "The request with this `Idempotency-Key` is still being served.")
        return self._open(binary(item["answer"]))

    def finish(self, response: Response[Any]) -> None:
        """Store the answer, unless it says that nothing was done."""
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            self.forget()
            return
        answer = _Answer(
            response.status_code,
            response.content_type,
            response.body,
            response.headers,
            response.base64_encoded,
        )
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self.seal.encrypt(nonce, msgspec.json.encode(answer), self.pk.encode())
        aws.dynamodb().update_item(
            TableName=self.table,
            Key=primary_key(self.pk),
            UpdateExpression="SET answer = :answer",
            ExpressionAttributeValues={":answer": {"B": sealed}},
        )

    def forget(self) -> None:
        """Let the request be made again."""
        aws.dynamodb().delete_item(TableName=self.table, Key=primary_key(self.pk))

    def _open(self, sealed: bytes) -> Response[Any]:
        plain = self.seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self.pk.encode())
        answer = msgspec.json.decode(plain, type=_Answer)
        headers: Any = {**answer.headers, REPLAYED: "true"}
        response: Response[Any] = Response(answer.status, answer.content_type, answer.body, headers)
        response.base64_encoded = answer.base64
        return response
