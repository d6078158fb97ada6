"""Rate limits with counters in DynamoDB, which all instances of all functions share."""

from __future__ import annotations

import hashlib

import msgspec

from opencode_cloud.kit import aws
from opencode_cloud.kit.errors import TooManyRequests
from opencode_cloud.kit.rate_counters import count_event

REQUESTS_PER_MINUTE = 600


class RateLimit(msgspec.Struct, frozen=True):
    """At most ``requests`` in each window of ``seconds``; ``name`` separates counters."""

    name: str
    requests: int
    seconds: int = 60


class RateLimitUsage(msgspec.Struct, frozen=True):
    """The usage of a rate limit by a subject."""

    limit: int
    remaining: int
    reset: int
    """Seconds until the window ends."""

    @property
    def headers(self) -> dict[str, str]:
        """Return the usage as headers of an answer."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimiter:
    """Counts requests in rows ``rate#<limit>#<hash of the subject>#<window>`` of the table ``sessions``."""

    def __init__(self, table: str, requests_per_minute: int = REQUESTS_PER_MINUTE) -> None:
        """Count in ``table``; allow each credential ``requests_per_minute`` on ``/api/v1``."""
        self._table = table
        self.api = RateLimit("api", requests_per_minute)
        """Limit for each credential, or IP address without one, on ``/api/v1``."""
        self.refused = RateLimit("refused", max(1, requests_per_minute // 10))
        """Limit for each IP address, of requests without a valid credential."""

    def take(self, limit: RateLimit, subject: str) -> RateLimitUsage:
        """Count one request of ``subject``; raises ``rate_limited`` (429) when it exceeds the limit."""
        # Hashed, because subjects are credentials and addresses, which must not be stored.
        digest = hashlib.sha256(subject.encode()).hexdigest()[:32]
        count = count_event(aws.dynamodb(), self._table, f"{limit.name}#{digest}", limit.seconds)
        usage = RateLimitUsage(limit.requests, max(0, limit.requests - count.events), count.reset)
        if count.events > limit.requests:
            raise TooManyRequests(
                "rate_limited",
                f"At most {limit.requests} requests in {limit.seconds} seconds.",
                count.reset,
                usage.headers,
            )
        return usage
