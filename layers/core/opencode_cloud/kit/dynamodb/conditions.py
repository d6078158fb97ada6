"""Conditional writes through boto3 that return whether the condition held."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb.codec import Item
from opencode_cloud.kit.dynamodb.errors import CONDITION_FAILED, REASON_CONDITION_FAILED, TRANSACTION_CANCELLED
from opencode_cloud.kit.retry import Backoff, retry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

CONFLICTS = Backoff(first=0.02, longest=0.32, attempts=6)
"""Bounds of retries of a transaction that conflicts with others. The pauses add up to 0.62 s at most."""


def conditional_write(write: Callable[..., Any], **request: Any) -> bool:
    """Execute a single ``write`` (``client.put_item``, ...) with a condition; return False when it does not hold.

    Raises botocore's ``ClientError`` for any other refusal.
    """
    try:
        write(**request)
    except ClientError as error:
        if aws.error_code(error) != CONDITION_FAILED:
            raise
        return False
    return True


def transact(client: DynamoDBClient, actions: Sequence[Item], *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Execute a transaction; return False when a condition does not hold.

    Conflicts with other transactions are retried. Raises botocore's ``ClientError`` when every attempt conflicts, and
    for any other refusal.
    """
    # boto3 requires a list of its own typed dictionaries; stores build equal plain ones.
    write: Callable[..., Any] = client.transact_write_items
    try:
        retry(lambda: write(TransactItems=actions), CONFLICTS, ClientError, when=_lost_race, sleep=sleep)
    except ClientError as error:
        if REASON_CONDITION_FAILED not in _reasons(error):
            raise
        return False
    return True


def _lost_race(error: ClientError) -> bool:
    return aws.error_code(error) == TRANSACTION_CANCELLED and REASON_CONDITION_FAILED not in _reasons(error)


def _reasons(error: ClientError) -> set[str]:
    response: Mapping[str, Any] = error.response
    return {str(reason.get("Code")) for reason in response.get("CancellationReasons", [])}
