"""Signature Version 4: of frequent requests with little work for each, of any request, and of addresses.

botocore signs any request and takes 0.45 ms of CPU time for each. ``Signer`` does the shared work of many requests
(key, credentials, time) once. ``tests/unit/kit/test_signing.py`` compares all of them with botocore's signers.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from opencode_cloud.kit.aws_api.credentials import CredentialSource, SigningCredentials

SIGNER_SECONDS = 60
"""How long a signer is used. AWS accepts a signature for 15 minutes, or for 5 when the clocks differ by 10."""
TOLERATED_SECONDS = 4 * 60
"""Difference of clocks that is not corrected; botocore's own."""
_UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"


class Signer:
    """Signs requests to one host with one timestamp. Create a new signer for each minute or fan-out."""

    def __init__(
        self,
        credentials: SigningCredentials,
        region: str,
        service: str,
        host: str,
        now: float,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``headers`` are signed and sent as well; their names must be in lower case."""
        self._time = _timestamp(now)
        date = self._time[:8]
        self._scope = f"{date}/{region}/{service}/aws4_request"
        self._key = _derive(credentials.secret_key or "", date, region, service)
        signed = {"host": host, "x-amz-date": self._time}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        signed = dict(sorted((signed | dict(headers)).items()))
        self._signed = signed
        self._canonical_headers = "".join(f"{name}:{value}\n" for name, value in signed.items())
        self._names = ";".join(signed)
        self._claim = f"{_ALGORITHM} Credential={credentials.access_key}/{self._scope}, SignedHeaders={self._names}"
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())

    def head(self, method: str, path: str, body: bytes) -> bytes:
        """Return the head of a signed HTTP/1.1 request. ``path`` must be percent-encoded and without query."""
        return (
            f"{method} {path} HTTP/1.1\r\n{self._lines}"
            f"authorization: {self._authorization(method, path, body)}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode()

    def headers(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """Return the headers of a signed request, for a client that writes the rest of its head."""
        return {**self._signed, "authorization": self._authorization(method, path, body)}

    def _authorization(self, method: str, path: str, body: bytes) -> str:
        canonical = "\n".join(
            (method, quote(path, safe="/~"), "", self._canonical_headers, self._names, hashlib.sha256(body).hexdigest())
        )
        return f"{self._claim}, Signature={_signature(self._key, self._time, self._scope, canonical)}"


class ServiceClock:
    """The time of a service, which refuses signatures of a clock that differs by more than minutes."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._offset = 0.0

    def now(self) -> float:
        """Return the service's time in seconds since the epoch."""
        return self._clock() + self._offset

    def correct(self, date: str) -> None:
        """Follow the header ``date`` of an answer, if our clock differs from it by minutes."""
        from email.utils import parsedate_to_datetime  # slow to import, and rarely used

        try:
            offset = parsedate_to_datetime(date).timestamp() - self._clock()
        except ValueError:
            return  # without a date, the clock is not known to be wrong
        self._offset = offset if abs(offset) > TOLERATED_SECONDS else 0.0


class Signers:
    """Signers of one service and host, one for each set of signed headers, renewed each minute; for any threads."""

    def __init__(
        self,
        source: CredentialSource,
        region: str,
        service: str,
        host: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._region, self._service, self._host = region, service, host
        self._clock = ServiceClock(clock)
        self._kept: dict[str, Signer] = {}
        self._until = 0.0

    def signer(self, name: str, headers: Mapping[str, str]) -> Signer:
        """Return the signer that signs ``headers`` as well, which are the same for each ``name``."""
        now = self._clock.now()
        if not self._until - SIGNER_SECONDS <= now < self._until:  # a clock may also be set back
            self._kept, self._until = {}, now + SIGNER_SECONDS
        kept = self._kept
        signer = kept.get(name)
        if signer is None:
            signer = Signer(self._source.get(), self._region, self._service, self._host, now, headers)
            kept[name] = signer
        return signer

    def renew(self, date: str) -> None:
        """Read the credentials again, and follow the clock of the service, whose answer had the header ``date``."""
        self._source.renew()
        self._clock.correct(date)
        self._until = 0.0


def signed_headers(
    credentials: SigningCredentials,
    region: str,
    service: str,
    now: float,
    request: tuple[str, str, Mapping[str, str]],
    headers: Mapping[str, str],
    payload_hash: str,
) -> dict[str, str]:
    """Return ``headers`` (names in lower case, ``host`` among them) with those of a signature.

    ``request`` is its method, its path as sent, and its query. ``payload_hash`` is also sent, as S3 requires.
    """
    method, path, query = request
    moment = _timestamp(now)
    signed = {**headers, "x-amz-date": moment, "x-amz-content-sha256": payload_hash}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
    canonical = "\n".join((method, path, canonical_query(query), lines, ";".join(names), payload_hash))
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    key = _derive(credentials.secret_key or "", moment[:8], region, service)
    signature = _signature(key, moment, scope, canonical)
    claim = f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={';'.join(names)}"
    return {**signed, "authorization": f"{claim}, Signature={signature}"}


def presigned_query(
    credentials: SigningCredentials,
    region: str,
    service: str,
    now: float,
    place: tuple[str, str],
    seconds: int,
    extra: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the query with which anyone can GET the ``place`` (host, and path as sent) for ``seconds``.

    ``extra`` are further parameters of the query.
    """
    host, path = place
    moment = _timestamp(now)
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    query = {
        **extra,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        query["X-Amz-Security-Token"] = credentials.token
    text = canonical_query(query)
    canonical = "\n".join(("GET", path, text, f"host:{host}\n", "host", _payload_hash(service)))
    key = _derive(credentials.secret_key or "", moment[:8], region, service)
    return f"{text}&X-Amz-Signature={_signature(key, moment, scope, canonical)}"


def _payload_hash(service: str) -> str:
    """Return the value that is signed in place of a hash of the body. Only S3 leaves the body unsigned."""
    return _UNSIGNED_PAYLOAD if service == "s3" else hashlib.sha256(b"").hexdigest()


def canonical_query(query: Mapping[str, str]) -> str:
    """Return a query in the form that is signed, which is also sent."""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _timestamp(now: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def _signature(key: bytes, moment: str, scope: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _derive(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
