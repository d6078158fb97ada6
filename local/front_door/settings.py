"""Settings of the front door, and the limits it enforces."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.routes import ERROR_SECONDS
from local.browsers import is_ours
from local.patience import FACTOR

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of API Gateway and Lambda (AWS's pages of quotas), in bytes and seconds.

    An answer has more time than AWS's 30 s (`local/patience.py`).
    """

    http_body: int = 10 * MIB
    http_headers: int = 10 * KIB
    http_seconds: float = 30 * FACTOR
    lambda_payload: int = 6 * MIB
    stream_seconds: float = 120
    """CloudFront's timeout for the next bytes of a stream."""
    websocket_frame: int = 32 * KIB
    websocket_message: int = 128 * KIB
    websocket_idle_seconds: float = 10 * 60
    websocket_seconds: float = 2 * 60 * 60


UNLIMITED = Quotas(
    http_body=1024 * MIB,
    http_headers=64 * KIB,
    http_seconds=900,
    stream_seconds=900,
    lambda_payload=1024 * MIB,
    websocket_frame=64 * MIB,
    websocket_message=64 * MIB,
    websocket_idle_seconds=24 * 60 * 60,
    websocket_seconds=365 * 24 * 60 * 60,
)
"""Limits for one machine that serves a team. They only bound the memory."""

LARGEST_BACKLOG = 4 * MIB
"""Bytes that wait for a WebSocket's reader before it is cut off, as API Gateway cuts off slow ones."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The front door's address, and the URLs behind it."""

    port: int
    http_url: str
    """The HTTP API with its stage, without a slash at the end."""
    websocket_url: str
    """The WebSocket API with its stage, ws://..."""
    gateway_url: str = ""
    """The gateway, without a slash at the end."""
    hub_url: str = ""
    """The hub, without a slash at the end; empty if functions serve sharing."""
    origin_secret: str = field(default="", repr=False)
    """The secret that the front door sends to the APIs and the gateway."""
    host: str = "127.0.0.1"
    aws_endpoint: str = ""
    """The emulator, for documents that CloudFront would read from S3."""
    site_bucket: str = ""
    quotas: Quotas = Quotas()
    error_seconds: Mapping[int, int] = field(default_factory=lambda: ERROR_SECONDS)
    """Seconds that the CDN keeps an origin's error, by status."""
    trust_proxy: bool = False
    """True if a proxy in front of the door (one that ends TLS) names the viewer in `x-forwarded-*`."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which clients reach the door, beside those of this machine."""

    def allows(self, host: str) -> bool:
        """Tell whether the door answers a header `Host`. A page that rebinds its own name to us is not answered.

        A trusted proxy decides about names itself, unless some are configured.
        """
        return (self.trust_proxy and not self.allowed_hosts) or is_ours(host, self.allowed_hosts)
