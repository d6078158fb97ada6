"""The current catalogue for the planes without SQL: two rows of the table ``access``.

``catalogue`` / ``CURRENT`` holds ``version`` and ``document`` (``packing``), ``catalogue`` / ``VERSION`` the version
alone, so that a check for a newer version does not read the whole document. ``CURRENT`` is written first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.catalogue.packing import pack, unpack
from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import binary, conditional_write, primary_key

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Catalogue
    from opencode_cloud.kit.dynamodb import AsyncDynamoDB

KEY = "catalogue"
CURRENT, VERSION = "CURRENT", "VERSION"


class CatalogueStore:
    """Reads and writes the rows."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb = aws.dynamodb()

    def version(self) -> int:
        """Return the current version; 0: none was published."""
        answer: Any = self._dynamodb.get_item(**_request(self._table, VERSION))
        return _version(answer)

    def catalogue(self) -> Catalogue:
        """Return the current catalogue."""
        answer: Any = self._dynamodb.get_item(**_request(self._table, CURRENT))
        return unpack(binary(answer["Item"]["document"]))

    def put(self, catalogue: Catalogue, *, over: bool = False) -> bool:
        """Put a catalogue in force; False when the same or a later version already is.

        ``over``: also replace a later version, which a database restored from a backup does not have.
        """
        document = {"document": {"B": pack(catalogue)}}
        written = self._put(CURRENT, catalogue.version, document, over=over)
        # Also after a refusal, because the process that wrote the document may have died before writing this row.
        return self._put(VERSION, catalogue.version, {}, over=over) or written

    def _put(self, sk: str, version: int, contents: Mapping[str, Any], *, over: bool) -> bool:
        number = {"N": str(version)}
        row: Any = {"pk": {"S": KEY}, "sk": {"S": sk}, "version": number, **contents}
        growing: Any = {
            "ConditionExpression": "attribute_not_exists(pk) OR #version < :version",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":version": number},
        }
        return conditional_write(self._dynamodb.put_item, TableName=self._table, Item=row, **({} if over else growing))


class AsyncCatalogueStore:
    """Reads the rows from an event loop."""

    def __init__(self, dynamodb: AsyncDynamoDB, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    async def version(self) -> int:
        """Return the current version; 0: none was published. Raises the errors of the DynamoDB client."""
        return _version(await self._dynamodb.call("GetItem", _request(self._table, VERSION)))

    async def catalogue(self) -> Catalogue:
        """Return the current catalogue."""
        answer = await self._dynamodb.call("GetItem", _request(self._table, CURRENT))
        return unpack(binary(answer["Item"]["document"]))


def _request(table: str, sk: str) -> dict[str, Any]:
    return {"TableName": table, "Key": primary_key(KEY, sk), "ConsistentRead": True}


def _version(answer: Mapping[str, Any]) -> int:
    return int(answer["Item"]["version"]["N"]) if "Item" in answer else 0
