"""Rate limits: counters in DynamoDB, so that every instance of every function counts together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import TooManyRequests

REQUESTS_PER_MINUTE = 600


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``requests`` in each window of ``seconds``; ``name`` keeps counters apart."""

    name: str
    requests: int
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands within a limit."""

    limit: int
    remaining: int
    reset: int
    """Seconds until the window ends."""

    @property
    def headers(self) -> dict[str, str]:
        """The standing as headers of an answer."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimiter:
    """Counts requests in rows ``rate#<limit>#<hash of the subject>#<window>`` of the table ``sessions``.

    Windows are fixed, so within a minute across two windows twice the limit can pass: a limit is there to bound load
    and guessing, and one atomic write a request is what that is worth.
    """

    def __init__(self, table: str, requests_per_minute: int = REQUESTS_PER_MINUTE) -> None:
        """Count in ``table``; allow each credential ``requests_per_minute`` on ``/api/v1``."""
        self._table = table
        self.api = Limit("api", requests_per_minute)
        """Of each credential (or address, without one) on ``/api/v1``."""
        self.refused = Limit("refused", max(1, requests_per_minute // 10))
        """Of each address: requests that had no valid credential."""

    def take(self, limit: Limit, subject: str) -> Standing:
        """Count one request of ``subject``; raises ``rate_limited`` (429) when it is one too many."""
        window, passed = divmod(now_seconds(), limit.seconds)
        reset = limit.seconds - passed
        # Subjects are credentials and addresses, which have no place in a table.
        digest = hashlib.sha256(subject.encode()).hexdigest()[:32]
        answer: Any = aws.dynamodb().update_item(
            TableName=self._table,
            Key={"pk": {"S": f"rate#{limit.name}#{digest}#{window}"}},
            UpdateExpression="SET #ttl = :ttl ADD #count :one",
            ExpressionAttributeNames={"#ttl": "ttl", "#count": "count"},
            ExpressionAttributeValues={
                ":ttl": {"N": str((window + 2) * limit.seconds)},
                ":one": {"N": "1"},
            },
            ReturnValues="UPDATED_NEW",
        )
        count = int(answer["Attributes"]["count"]["N"])
        standing = Standing(limit.requests, max(0, limit.requests - count), reset)
        if count > limit.requests:
            raise TooManyRequests(
                "rate_limited",
                f"At most {limit.requests} requests in {limit.seconds} seconds.",
                reset,
                standing.headers,
            )
        return standing
