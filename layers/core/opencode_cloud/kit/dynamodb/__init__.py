"""DynamoDB: batches and conditional writes of stores, and the client of the event loop.

Values are in DynamoDB's own form (``{"S": ...}``), as in all stores.
"""

from opencode_cloud.kit.dynamodb.batch import WRITES_AT_ONCE, batch_delete, batch_get, batch_get_async
from opencode_cloud.kit.dynamodb.client import CONTENT_TYPE, DynamoDB
from opencode_cloud.kit.dynamodb.codec import Item, decode, decode_struct, encode, encode_struct, primary_key
from opencode_cloud.kit.dynamodb.conditions import conditional_write, transact
from opencode_cloud.kit.dynamodb.errors import (
    ConditionFailed,
    Contended,
    DynamoDBError,
    TransactionRefused,
)

__all__ = [
    "CONTENT_TYPE",
    "WRITES_AT_ONCE",
    "ConditionFailed",
    "Contended",
    "DynamoDB",
    "DynamoDBError",
    "Item",
    "TransactionRefused",
    "batch_delete",
    "batch_get",
    "batch_get_async",
    "conditional_write",
    "decode",
    "decode_struct",
    "encode",
    "encode_struct",
    "primary_key",
    "transact",
]
