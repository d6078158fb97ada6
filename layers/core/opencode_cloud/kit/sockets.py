"""Posting to WebSocket connections through API Gateway's ``@connections`` API.

A fan-out makes one such call per viewer and frame, so this path signs and sends by itself: botocore's client spends
about 1 ms of processor time a call on marshalling, this a quarter of that (``make bench``, "post").
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import Literal
from urllib.parse import quote

import urllib3
from boto3.session import Session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from opencode_cloud.kit.log import logger

Outcome = Literal["sent", "gone", "failed"]
FRAME_BYTES = 32 * 1024  # API Gateway: a WebSocket frame, and what one message is metered in
MESSAGE_BYTES = 128 * 1024  # API Gateway: a WebSocket message
_RETRIES = 3
_BACK_OFF_SECONDS = 0.05


class Sockets:
    """The connections of one WebSocket API stage."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._session = Session()
        self._http = urllib3.PoolManager(maxsize=64, timeout=urllib3.Timeout(connect=2, read=8), retries=False)

    def post(self, connection: str, frames: Sequence[bytes]) -> Outcome:
        """Send ``frames`` to ``connection`` in order.

        Returns ``gone`` when the connection has ended, ``failed`` when a frame could not be sent: the viewer then
        notices the gap by its sequence number, so a failure is counted and not raised.
        """
        for frame in frames:
            outcome = self._send("POST", connection, frame)
            if outcome != "sent":
                return outcome
        return "sent"

    def is_open(self, connection: str) -> bool:
        """Tell whether ``connection`` can be posted to: not before its ``$connect`` has been answered."""
        return self._send("GET", connection, b"") == "sent"

    def close(self, connection: str) -> Outcome:
        """End ``connection`` from our side."""
        return self._send("DELETE", connection, b"")

    def _send(self, method: str, connection: str, body: bytes) -> Outcome:
        url = f"{self._endpoint}/@connections/{quote(connection, safe='')}"
        for attempt in range(_RETRIES):
            try:
                status = self._request(method, url, body)
            except urllib3.exceptions.HTTPError as error:
                logger.warning("post failed", extra={"reason": type(error).__name__})
                status = 503
            if status < 300:
                return "sent"
            if status == 410:
                return "gone"
            if status not in (429, 500, 502, 503, 504):
                logger.warning("post refused", extra={"status": status})
                return "failed"
            time.sleep(_BACK_OFF_SECONDS * 2**attempt)
        return "failed"

    def _request(self, method: str, url: str, body: bytes) -> int:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise RuntimeError("no AWS credentials: the function has no role, or the environment lost it")
        request = AWSRequest(method=method, url=url, data=body)
        SigV4Auth(credentials, "execute-api", self._session.region_name).add_auth(request)
        response = self._http.request(method, url, body=body, headers=dict(request.headers.items()))
        return response.status


@cache
def sockets(endpoint: str) -> Sockets:
    """Return the sockets behind ``endpoint``, made once per execution environment."""
    return Sockets(endpoint)
