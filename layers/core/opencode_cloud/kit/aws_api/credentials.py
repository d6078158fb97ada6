"""Credentials of AWS: from the environment, from a container's endpoint, or else by botocore's other rules.

A function of Lambda has them in its environment; with SnapStart, and on Fargate, an endpoint hands them out for some
hours. Profiles, SSO and roles of machines are for laptops and servers, and botocore is imported only for those.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from opencode_cloud.kit.aws_api.connections import Connections
from opencode_cloud.kit.aws_api.errors import AwsError, AwsUnreachable
from opencode_cloud.kit.retry import Backoff, retry

RENEWED_SECONDS = 15 * 60
"""Time before their end at which credentials are replaced, in seconds; botocore's own."""
_CHECKED_SECONDS = 60  # other credentials may rotate in the environment or in a file
_RELATIVE_HOST = "http://169.254.170.2"
_LOCAL_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost", "127.0.0.1", "::1"})
_BACKOFF = Backoff(first=0.1, longest=0.5, attempts=3)


class SigningCredentials(Protocol):
    """Credentials with which requests are signed: ours, or botocore's."""

    @property
    def access_key(self) -> str | None:
        """The id of the key."""
        ...

    @property
    def secret_key(self) -> str | None:
        """The key."""
        ...

    @property
    def token(self) -> str | None:
        """The token of a temporary session."""
        ...


class AccessKey(msgspec.Struct, frozen=True):
    """An access key. ``token`` is that of a temporary session."""

    access_key: str
    secret_key: str
    token: str | None


class NoCredentials(AwsError):
    """There are no credentials to sign with."""


class _Given(msgspec.Struct, rename="pascal"):
    """The answer of a container's endpoint."""

    access_key_id: str
    secret_access_key: str
    token: str
    expiration: datetime


class CredentialSource:
    """Returns valid credentials; for use by any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._credentials: SigningCredentials | None = None
        self._valid_until = 0.0
        self._checked_until = 0.0
        self._session: Any = None

    def get(self) -> SigningCredentials:
        """Return credentials that are valid for some minutes.

        Raises:
            NoCredentials: There are none.
            AwsUnreachable: The endpoint that hands them out does not answer, and the last ones have expired.
        """
        credentials = self._credentials
        if credentials is not None and self._clock() < self._checked_until:
            return credentials
        with self._lock:
            credentials = self._credentials
            if credentials is None or self._clock() >= self._checked_until:
                credentials, checked_until = self._read()
                self._credentials, self._checked_until = credentials, checked_until
            return credentials

    @property
    def is_current(self) -> bool:
        """Tell whether :meth:`get` returns without waiting for anything."""
        return self._credentials is not None and self._clock() < self._checked_until

    def renew(self) -> None:
        """Read the credentials again at the next call, since a service says that they have expired."""
        self._checked_until = 0.0

    def _read(self) -> tuple[SigningCredentials, float]:
        """Return credentials, and the time until which they need no check, in seconds since the epoch."""
        now = self._clock()
        if os.environ.get("AWS_ACCESS_KEY_ID"):
            return _in_environment(), now + _CHECKED_SECONDS
        address = _container_address()
        if address and not os.environ.get("AWS_PROFILE"):
            return self._from_container(address, now)
        return self._by_botocore(), now + _CHECKED_SECONDS

    def _from_container(self, address: str, now: float) -> tuple[SigningCredentials, float]:
        try:
            given = retry(lambda: _fetch(address), _BACKOFF, AwsUnreachable)
        except AwsUnreachable:
            if self._credentials is None or now >= self._valid_until:
                raise
            return self._credentials, min(now + _CHECKED_SECONDS, self._valid_until)
        self._valid_until = given.expiration.timestamp()
        checked_until = max(now + _CHECKED_SECONDS, self._valid_until - RENEWED_SECONDS)
        return AccessKey(given.access_key_id, given.secret_access_key, given.token), checked_until

    def _by_botocore(self) -> SigningCredentials:
        from botocore.session import Session

        if self._session is None:
            self._session = Session()
        found: Any = self._session.get_credentials()
        if found is None:
            raise NoCredentials("there are no AWS credentials: the function has no role, or the environment lost it")
        return found.get_frozen_credentials()


@cache
def credential_source() -> CredentialSource:
    """Return the source that all clients of a process share."""
    return CredentialSource()


def _in_environment() -> AccessKey:
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not secret:
        raise NoCredentials("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY")
    token = os.environ.get("AWS_SESSION_TOKEN") or os.environ.get("AWS_SECURITY_TOKEN")
    return AccessKey(os.environ["AWS_ACCESS_KEY_ID"], secret, token or None)


def _container_address() -> str | None:
    relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    return f"{_RELATIVE_HOST}{relative}" if relative else os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")


def _fetch(address: str) -> _Given:
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in _LOCAL_HOSTS:
        raise NoCredentials(f"credentials are not fetched from {parts.hostname} without TLS")
    connections = Connections(address, connect_seconds=1, read_seconds=2)
    token = _token()
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    authorization = f"authorization: {token}\r\n" if token else ""
    head = f"GET {path or '/'} HTTP/1.1\r\nhost: {connections.host}\r\naccept: application/json\r\n{authorization}\r\n"
    try:
        answer = connections.exchange("GET", head.encode())
    finally:
        connections.close()
    if answer.status != 200:
        raise AwsUnreachable(f"the endpoint of credentials answers {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=_Given)
    except msgspec.DecodeError as error:
        raise AwsUnreachable("the endpoint of credentials answers without credentials") from error


def _token() -> str:
    """Return the token of this container for the endpoint; empty without one."""
    if file := os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        with open(file, encoding="utf-8") as stream:  # read each time, since it rotates
            token = stream.read().strip()
    else:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if "\r" in token or "\n" in token:
        raise NoCredentials("the authorization token of the container contains a line break")
    return token
