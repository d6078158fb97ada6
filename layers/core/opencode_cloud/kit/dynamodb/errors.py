"""Errors for DynamoDB's refusals, and the distinction of temporary from permanent ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opencode_cloud.kit.aws_api.errors import THROTTLED
from opencode_cloud.kit.dynamodb.codec import Item
from opencode_cloud.kit.errors import Unavailable

CONDITION_FAILED = "ConditionalCheckFailedException"
TRANSACTION_CANCELLED = "TransactionCanceledException"
REASON_CONDITION_FAILED = "ConditionalCheckFailed"
"""Code of a transaction's action whose condition does not hold."""
_PASSING_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class DynamoDBError(Exception):
    """DynamoDB refused a call; ``code`` is DynamoDB's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ConditionFailed(DynamoDBError):
    """The condition of a single write did not hold; ``item`` is the unchanged row, if it was requested."""

    def __init__(self, item: Item | None) -> None:
        super().__init__(CONDITION_FAILED, "the condition did not hold")
        self.item = item


class TransactionRefused(DynamoDBError):
    """Conditions of a transaction did not hold; nothing was written."""

    def __init__(self, reasons: Sequence[tuple[str, Item | None]]) -> None:
        super().__init__(TRANSACTION_CANCELLED, ", ".join(code for code, _ in reasons))
        self.reasons = reasons
        """One for each action, in order: its code (``None`` without a failure), and the unchanged row, if requested."""


class Contended(Unavailable):
    """503: every attempt conflicted with other transactions. Nothing was written, and a retry is safe."""


def contended() -> Contended:
    """Return ``store_contended`` (503)."""
    return Contended("store_contended", "Too many concurrent changes of the same rows. Try again.", retry_after=1)


def store_unavailable() -> Unavailable:
    """Return ``store_unavailable`` (503): all attempts of a call failed."""
    return Unavailable("store_unavailable", "The store cannot be reached now. Try again.", retry_after=1)


def refusal(answer: Mapping[str, Any]) -> DynamoDBError:
    """Return the error for DynamoDB's refusal."""
    code = str(answer.get("__type", "")).rpartition("#")[2] or "Unknown"
    if code == CONDITION_FAILED:
        return ConditionFailed(answer.get("Item"))
    if code == TRANSACTION_CANCELLED:
        reasons: list[dict[str, Any]] = answer.get("CancellationReasons") or []
        return TransactionRefused([(str(reason.get("Code", "None")), reason.get("Item")) for reason in reasons])
    return DynamoDBError(code, str(answer.get("message") or answer.get("Message") or ""))


def passing(status: int, error: DynamoDBError) -> bool:
    """Tell whether the same call may succeed soon: DynamoDB failed, throttles, or met other transactions."""
    if isinstance(error, TransactionRefused):
        codes = {code for code, _ in error.reasons} - {"None"}
        return bool(codes) and codes <= _PASSING_REASONS
    return status >= 500 or error.code in THROTTLED
