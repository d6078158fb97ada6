"""Conditional writes that return whether the condition held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opencode_cloud.kit.dynamodb.client import DynamoDB
from opencode_cloud.kit.dynamodb.codec import Item
from opencode_cloud.kit.dynamodb.errors import REASON_CONDITION_FAILED, ConditionFailed, TransactionRefused


def conditional_write(write: Callable[..., Any], **request: Any) -> bool:
    """Execute a single ``write`` (``client.put_item``, ...) with a condition; return False when it does not hold."""
    try:
        write(**request)
    except ConditionFailed:
        return False
    return True


def transact(client: DynamoDB, actions: Sequence[Item]) -> bool:
    """Execute a transaction; return False when a condition does not hold.

    Raises ``Contended`` (503) when every attempt conflicts with other transactions.
    """
    try:
        client.call("TransactWriteItems", {"TransactItems": actions})
    except TransactionRefused as error:
        if all(code != REASON_CONDITION_FAILED for code, _ in error.reasons):
            raise
        return False
    return True
