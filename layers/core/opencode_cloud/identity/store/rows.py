"""Rows of the table ``sessions``: the short-lived data of identity, one item each, read by its key.

``pk`` is one of ``session#<sid>``, ``device#<hash>``, ``user_code#<hmac>``, ``code#<hash>``, ``state#<hash>``,
``challenge#<id>``, ``network#<hmac>``, ``signing``. DynamoDB removes items long after their expiry, by ``ttl`` (seconds
since the epoch).
Index ``account``: the sessions of a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import DAY_SECONDS
from opencode_cloud.kit.dynamodb import conditional_write, decode, encode, primary_key

Model = TypeVar("Model", bound=msgspec.Struct)
Values = Mapping[str, str | int]
LONGEST_KEY = 2048
"""Bytes that DynamoDB takes as a partition key. No item has a longer one."""
KEPT_SECONDS = 7 * DAY_SECONDS
"""How long a row outlives its expiry, in seconds: long enough to explain past events, and to recognize codes that
return."""


class SessionRows:
    """Items of a table that has a partition key only."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._dynamodb = aws.dynamodb()

    def put(self, pk: str, value: msgspec.Struct, expires_at: int, *, new: bool = True) -> None:
        """Write an item. Its ``id`` is part of its key. If it must be ``new``, an item with this key is an error.

        An empty text is left out where the model has a default.
        """
        plain = msgspec.to_builtins(value)
        # An attribute that is the key of an index must not be empty.
        optional = {field.name for field in msgspec.structs.fields(value) if field.default is not msgspec.NODEFAULT}
        fields = {
            name: field for name, field in plain.items() if name != "id" and (field != "" or name not in optional)
        }
        item: Any = {"pk": {"S": pk}, "ttl": {"N": str(expires_at + KEPT_SECONDS)}, **encode(fields)}
        condition: Any = {"ConditionExpression": "attribute_not_exists(pk)"} if new else {}
        self._dynamodb.put_item(TableName=self.table, Item=item, **condition)

    def get(self, pk: str, model: type[Model]) -> Model | None:
        """Return an item by a consistent read; None when it does not exist or has been ended."""
        if not _is_key(pk):
            return None
        row: Any = self._dynamodb.get_item(TableName=self.table, Key=primary_key(pk), ConsistentRead=True).get("Item")
        return parsed(row, model) if row and "ended_at" not in row else None

    def update(self, pk: str, values: Values, condition: str, expected: Values | None = None) -> bool:
        """Set ``values`` if ``condition`` holds, in which ``:name`` is ``expected[name]``. Return whether it held.

        An item that was ended, or does not exist, is never changed.
        """
        names = {f"#{name}": name for name in values}
        bound = {f":set_{name}": value for name, value in values.items()}
        bound |= {f":{name}": value for name, value in (expected or {}).items()}
        if not _is_key(pk):
            return False
        alive = "attribute_exists(pk) AND attribute_not_exists(ended_at)"
        return conditional_write(
            self._dynamodb.update_item,
            TableName=self.table,
            Key=primary_key(pk),
            UpdateExpression="SET " + ", ".join(f"#{name} = :set_{name}" for name in values),
            ConditionExpression=f"{alive} AND {condition}" if condition else alive,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=encode(bound),
        )

    def take(self, pk: str, model: type[Model]) -> Model | None:
        """Remove an item and return it. Exactly one of several concurrent calls gets it."""
        if not _is_key(pk):
            return None
        row: Any = self._dynamodb.delete_item(TableName=self.table, Key=primary_key(pk), ReturnValues="ALL_OLD").get(
            "Attributes"
        )
        return parsed(row, model) if row else None


def _is_key(pk: str) -> bool:
    return len(pk.encode("utf-8", "replace")) <= LONGEST_KEY


def parsed(row: Mapping[str, Any], model: type[Model]) -> Model:
    """Return an item as its model. ``id`` is the part of its key after the first ``#``."""
    fields = decode(row)
    return msgspec.convert({**fields, "id": fields["pk"].partition("#")[2]}, model)
