"""Creation of the tables that infra/tables.py declares, in any implementation of DynamoDB."""

from __future__ import annotations

from typing import Any

from infra.tables import TABLES


def create_table(client: Any, name: str, table: str) -> str:
    """Create the table declared as `name` under the name `table`, with keys, indexes and stream; return `table`."""
    declared = TABLES[name]
    types = {declared.partition: "S", declared.sort: "S"}
    indexes: list[dict[str, Any]] = []
    for index_name, index in declared.indexes.items():
        types |= {index.partition: "S", index.sort: "N"}
        projection = "ALL" if index.all_attributes else "KEYS_ONLY"
        keys = _keys(index.partition, index.sort)
        indexes.append({"IndexName": index_name, "KeySchema": keys, "Projection": {"ProjectionType": projection}})
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"} if declared.streamed else None
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in types.items() if key],
        KeySchema=_keys(declared.partition, declared.sort),
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        **({"StreamSpecification": stream} if stream else {}),
    )
    return table


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return [*keys, {"AttributeName": sort, "KeyType": "RANGE"}] if sort else keys
