"""Error mapping: from the failures of upstreams to the one error that the client gets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opencode_cloud.gateway.models import (
    AttemptFailed,
    BadGateway,
    Failure,
    GatewayTimeout,
    Interrupted,
    UpstreamBusy,
    UpstreamRefused,
    UpstreamTarget,
)
from opencode_cloud.kit.errors import Forbidden, ServiceError, Unavailable

if TYPE_CHECKING:
    from opencode_cloud.gateway.service.call_state import CallState

TOO_MANY = 429


def error_of(state: CallState, failures: list[tuple[UpstreamTarget, AttemptFailed]]) -> ServiceError:
    """Return the error for all failures of a call: the most useful one for the client."""
    if not failures:
        return GatewayTimeout("upstream_timeout", "No time was left for a request to an upstream.")
    target, last = failures[-1]
    kinds = {error.failure for _, error in failures}
    if last.failure is Failure.REFUSED or kinds == {Failure.INCONVERTIBLE}:
        return _refused(target, last)
    if kinds == {Failure.CREDENTIAL}:
        return _locked_out(target, last)
    busy = [error for _, error in failures if error.failure is Failure.BUSY]
    if busy:
        return _busy(state, busy)
    tried = ", ".join(sorted({upstream.id for upstream, _ in failures}))
    if kinds == {Failure.SLOW}:
        return GatewayTimeout("upstream_timeout", f"No upstream of `{state.model.id}` answered in time ({tried}).")
    return BadGateway("upstream_failed", f"No upstream of `{state.model.id}` answered ({tried}): {last.message}")


def interrupted(upstream: str, reason: str, *, client_informed: bool = False) -> Interrupted:
    """Return the error of an answer that broke off.

    ``client_informed``: the upstream's own error was already passed on.
    """
    # opencode retries by itself when a message contains "connection lost".
    message = f"The answer of {upstream} broke off, connection lost: {reason}"
    return Interrupted("upstream_interrupted", message, client_informed=client_informed)


def _refused(target: UpstreamTarget, error: AttemptFailed) -> ServiceError:
    code = (error.fault.code if error.fault else "") or "invalid_request"
    return UpstreamRefused(error.status or 400, code, error.message, target.format, error.body)


def _locked_out(target: UpstreamTarget, error: AttemptFailed) -> ServiceError:
    # Not 401: that would tell clients that their key for us is wrong.
    if target.byok:
        return Forbidden(
            "credential_refused",
            f"{target.id} refuses the workspace's own key ({error.status}): {error.message} An admin must replace it.",
        )
    return BadGateway("upstream_locked", f"{target.id} refuses the platform's key. Tell the operators.")


def _busy(state: CallState, errors: list[AttemptFailed]) -> ServiceError:
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    after = math.ceil(min(waits)) if waits else None
    if any(error.status == TOO_MANY for error in errors):
        message = f"The upstreams of `{state.model.id}` accept no more calls for now. Try again later."
        limited = UpstreamBusy("upstream_rate_limited", message)
        limited.retry_after = after
        return limited
    return Unavailable("upstream_overloaded", f"The upstreams of `{state.model.id}` are overloaded. Try again.", after)
