"""Failures on request: what a network and Stripe do to one request in a million."""

import asyncio
import re
from dataclasses import dataclass
from enum import StrEnum

from local.stripe.errors import StripeError


class Fault(StrEnum):
    """A kind of failure of a request."""

    RATE_LIMIT = "rate_limit"
    """429, nothing is executed and nothing kept."""
    ERROR = "error"
    """500, nothing is executed; the key keeps this answer."""
    DROP_BEFORE = "drop_before"
    """The connection ends before anything is executed."""
    DROP_AFTER = "drop_after"
    """The request is executed and kept; the connection ends without the answer."""
    DELAY = "delay"
    """The request waits `seconds` between the start of its key and its execution."""


@dataclass(slots=True)
class Planned:
    """A fault of the next `times` requests of a method whose path fits a pattern in full."""

    fault: Fault
    method: str = "POST"
    path: str = ".*"
    times: int = 1
    seconds: float = 0.0


class ConnectionDropped(Exception):
    """The server must end the connection without an answer."""


class Faults:
    """The planned faults of one account, oldest first."""

    def __init__(self) -> None:
        self._planned: list[Planned] = []

    def plan(self, planned: Planned) -> None:
        """Add a fault."""
        self._planned.append(planned)

    def take(self, method: str, path: str) -> Planned | None:
        """Return the fault of this request, and count it."""
        for planned in self._planned:
            if planned.times and planned.method == method and re.fullmatch(planned.path, path):
                planned.times -= 1
                return planned
        return None


async def before(planned: Planned | None) -> None:
    """Do what a fault does before the execution, after the key has begun.

    Raises:
        ConnectionDropped: The connection must end.
        StripeError: The answer is an error.
    """
    match planned.fault if planned else None:
        case Fault.DELAY:
            await asyncio.sleep(planned.seconds if planned else 0)
        case Fault.DROP_BEFORE:
            raise ConnectionDropped
        case Fault.ERROR:
            raise StripeError(500, "api_error", "An error on our side.")
        case _:
            pass


def rate_limited() -> StripeError:
    """Return the answer to too many requests."""
    return StripeError(429, "rate_limit_error", "Too many requests.", code="rate_limit")
