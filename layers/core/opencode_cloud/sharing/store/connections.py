"""The shares that a WebSocket connection follows, so that a disconnect needs no search."""

from __future__ import annotations

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import conditional_write

CONNECTION_SECONDS = 3 * 3600  # API Gateway ends a connection after 2 hours


class ConnectionStore:
    """The table ``connections``."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb = aws.dynamodb()

    def follow(self, connection_id: ConnectionId, share_id: ShareId, most: int) -> bool:
        """Record that ``connection_id`` follows a share; False if it follows ``most`` others already."""
        return conditional_write(
            self._dynamodb.update_item,
            TableName=self._table,
            Key={"connection": {"S": connection_id}},
            UpdateExpression="ADD shares :share SET #ttl = :ttl",
            ConditionExpression="attribute_not_exists(shares) OR contains(shares, :id) OR size(shares) < :most",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={
                ":share": {"SS": [share_id]},
                ":id": {"S": share_id},
                ":most": {"N": str(most)},
                ":ttl": {"N": str(now_seconds() + CONNECTION_SECONDS)},
            },
        )

    def forget(self, connection_id: ConnectionId) -> list[ShareId]:
        """Forget ``connection_id`` and return the shares that it followed."""
        answer = self._dynamodb.delete_item(
            TableName=self._table, Key={"connection": {"S": connection_id}}, ReturnValues="ALL_OLD"
        )
        return [ShareId(share_id) for share_id in answer.get("Attributes", {}).get("shares", {}).get("SS", [])]
