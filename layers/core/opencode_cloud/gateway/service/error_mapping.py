"""Error mapping: from the failures of upstreams to the one error that the client gets."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

from opencode_cloud.contracts.access import FallbackReason
from opencode_cloud.gateway.formats import TOO_LONG
from opencode_cloud.gateway.models import (
    LOCKED_OUT,
    AttemptFailed,
    BadGateway,
    Failure,
    GatewayTimeout,
    Interrupted,
    UpstreamBusy,
    UpstreamRefused,
    UpstreamTarget,
)
from opencode_cloud.gateway.service.classification import failure_of
from opencode_cloud.kit.errors import Forbidden, ServiceError, Unavailable

if TYPE_CHECKING:
    from opencode_cloud.gateway.formats import UpstreamFault
    from opencode_cloud.gateway.service.call_state import CallState

TOO_MANY = 429
_INVALID = frozenset({Failure.INCONVERTIBLE, Failure.UNKNOWN_FLAG, Failure.FOREIGN_THOUGHT})
_KNOWN = frozenset(int(status) for status in HTTPStatus)


def error_of(state: CallState, failures: list[tuple[UpstreamTarget, AttemptFailed]]) -> ServiceError:
    """Return the error for all failures of a call: the most useful one for the client."""
    if not failures:
        return GatewayTimeout("upstream_timeout", "No time was left for a request to an upstream.")
    target, last = failures[-1]
    kinds = {error.failure for _, error in failures}
    too_long = next(((target, error) for target, error in failures if error.failure is Failure.CONTEXT), None)
    if too_long is not None:
        # Our own body: servers that are only compatible do not say it in the words by which agents act.
        return UpstreamRefused(400, TOO_LONG, too_long[1].message, too_long[0].format, b"")
    if last.failure is Failure.REFUSED or kinds <= _INVALID:
        return _refused(target, last)
    if kinds <= LOCKED_OUT:
        return _locked_out(target, last)
    busy = [error for _, error in failures if error.failure is Failure.BUSY]
    if busy:
        return _busy(state, busy)
    tried = ", ".join(sorted({upstream.id for upstream, _ in failures}))
    if kinds == {Failure.SLOW}:
        return GatewayTimeout("upstream_timeout", f"No upstream of `{state.model.id}` answered in time ({tried}).")
    said = next((error.message for _, error in reversed(failures) if error.failure not in LOCKED_OUT), "")
    return BadGateway("upstream_failed", f"No upstream of `{state.model.id}` answered ({tried}): {said}")


def fallback_reason(failures: list[tuple[UpstreamTarget, AttemptFailed]]) -> FallbackReason | None:
    """Return the reason for which another model may answer where all upstreams of one failed; None: none would."""
    if not failures:
        return None
    target, last = failures[-1]
    kinds = {error.failure for _, error in failures}
    if Failure.CONTEXT in kinds:
        return FallbackReason.CONTEXT
    # The request itself is wrong, or the workspace must replace its key.
    if last.failure is Failure.REFUSED or kinds <= _INVALID or (kinds <= LOCKED_OUT and target.byok):
        return None
    return FallbackReason.UNAVAILABLE


def interrupted(target: UpstreamTarget, reason: str, fault: UpstreamFault | None = None) -> Interrupted:
    """Return the error of an answer that broke off, by an error of the upstream if there is a ``fault``."""
    if fault is not None and failure_of(fault) in LOCKED_OUT and not target.byok:
        reason, fault = "it refuses the platform's account. Tell the operators", None
    # opencode retries by itself when a message contains "connection lost".
    message = f"The answer of {target.id} broke off, connection lost: {reason}"
    status = fault.status if fault is not None and fault.status in _KNOWN else HTTPStatus.BAD_GATEWAY
    return Interrupted("upstream_interrupted", message, status)


def _refused(target: UpstreamTarget, error: AttemptFailed) -> ServiceError:
    code = (error.fault.code if error.fault else "") or "invalid_request"
    return UpstreamRefused(error.status or 400, code, error.message, target.format, error.body)


def _locked_out(target: UpstreamTarget, error: AttemptFailed) -> ServiceError:
    # Not 401: that would tell clients that their key for us is wrong.
    if target.byok:
        return Forbidden(
            "credential_refused",
            f"{target.id} refuses the workspace's own key ({error.status}): {error.message} "
            "An admin must replace it, or settle its account.",
        )
    # The provider's text is for the owner of the account: it can name amounts and pages of bills.
    return BadGateway("upstream_locked", f"{target.id} refuses the platform's account. Tell the operators.")


def _busy(state: CallState, errors: list[AttemptFailed]) -> ServiceError:
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    after = math.ceil(min(waits)) if waits else None
    if any(error.status == TOO_MANY for error in errors):
        message = f"The upstreams of `{state.model.id}` accept no more calls for now. Try again later."
        limited = UpstreamBusy("upstream_rate_limited", message)
        limited.retry_after = after
        return limited
    return Unavailable("upstream_overloaded", f"The upstreams of `{state.model.id}` are overloaded. Try again.", after)
