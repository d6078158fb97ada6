"""Refusals of DynamoDB as errors of ours, and which of them pass by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opencode_cloud.kit.dynamodb.codec import Item
from opencode_cloud.kit.errors import Unavailable

CONDITION_FAILED = "ConditionalCheckFailedException"
TRANSACTION_CANCELLED = "TransactionCanceledException"
REASON_CONDITION_FAILED = "ConditionalCheckFailed"
"""The code of a transaction's action whose condition does not hold."""
_PASSING = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
_PASSING_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class DynamoDBError(Exception):
    """DynamoDB refused a call; ``code`` is its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ConditionFailed(DynamoDBError):
    """The condition of a single write did not hold; ``item`` is the row as it was, if it was asked for."""

    def __init__(self, item: Item | None) -> None:
        super().__init__(CONDITION_FAILED, "the condition did not hold")
        self.item = item


class TransactionRefused(DynamoDBError):
    """Conditions of a transaction did not hold; nothing was written."""

    def __init__(self, reasons: Sequence[tuple[str, Item | None]]) -> None:
        super().__init__(TRANSACTION_CANCELLED, ", ".join(code for code, _ in reasons))
        self.reasons = reasons
        """One for each action, in order: its code (``None`` when it was fine), and the row as it was, if asked for."""


class Contended(Unavailable):
    """503: every attempt met other transactions on the same rows; nothing was written, and a retry is safe."""


def contended() -> Contended:
    """Return ``store_contended`` (503)."""
    return Contended("store_contended", "Too much happens to the same rows at once. Try again.", retry_after=1)


def store_unavailable() -> Unavailable:
    """Return ``store_unavailable`` (503): DynamoDB did not take a call in the end."""
    return Unavailable("store_unavailable", "The store cannot be reached now. Try again.", retry_after=1)


def refusal(status: int, answer: Mapping[str, Any]) -> DynamoDBError:
    """Return what DynamoDB answered as an error of ours."""
    code = str(answer.get("__type", "")).rpartition("#")[2] or ("InternalServerError" if status >= 500 else "Unknown")
    if code == CONDITION_FAILED:
        return ConditionFailed(answer.get("Item"))
    if code == TRANSACTION_CANCELLED:
        reasons: list[dict[str, Any]] = answer.get("CancellationReasons") or []
        return TransactionRefused([(str(reason.get("Code", "None")), reason.get("Item")) for reason in reasons])
    return DynamoDBError(code, str(answer.get("message") or answer.get("Message") or ""))


def passing(error: DynamoDBError) -> bool:
    """Tell whether the same call may succeed in a moment: no condition failed, something was only busy."""
    if isinstance(error, TransactionRefused):
        codes = {code for code, _ in error.reasons} - {"None"}
        return bool(codes) and codes <= _PASSING_REASONS
    return error.code in _PASSING
