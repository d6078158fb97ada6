"""DynamoDB: a client for threads and one for the event loop, batches, and conditional writes.

Values are in DynamoDB's own form (``{"S": ...}``), as in all stores.
"""

from opencode_cloud.kit.dynamodb.async_client import AsyncDynamoDB
from opencode_cloud.kit.dynamodb.batch import WRITES_AT_ONCE, batch_delete, batch_get, batch_get_async, batch_put
from opencode_cloud.kit.dynamodb.client import DynamoDB
from opencode_cloud.kit.dynamodb.codec import Item, binary, decode, decode_struct, encode, encode_struct, primary_key
from opencode_cloud.kit.dynamodb.conditions import conditional_write, transact
from opencode_cloud.kit.dynamodb.errors import (
    ConditionFailed,
    Contended,
    DynamoDBError,
    TransactionRefused,
)

__all__ = [
    "WRITES_AT_ONCE",
    "AsyncDynamoDB",
    "ConditionFailed",
    "Contended",
    "DynamoDB",
    "DynamoDBError",
    "Item",
    "TransactionRefused",
    "batch_delete",
    "batch_get",
    "batch_get_async",
    "batch_put",
    "binary",
    "conditional_write",
    "decode",
    "decode_struct",
    "encode",
    "encode_struct",
    "primary_key",
    "transact",
]
