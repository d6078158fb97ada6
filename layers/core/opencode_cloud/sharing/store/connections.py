"""Which shares a WebSocket connection follows, so that its end can be noted without searching."""

from __future__ import annotations

from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import now_seconds

CONNECTION_SECONDS = 3 * 3600  # API Gateway ends a connection after 2 hours


class ConnectionStore:
    """The table ``connections``."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb = aws.dynamodb()

    def follow(self, connection: str, share_id: str) -> None:
        """Note that ``connection`` follows a share."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"connection": {"S": connection}},
            UpdateExpression="ADD shares :share SET #ttl = :ttl",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={
                ":share": {"SS": [share_id]},
                ":ttl": {"N": str(now_seconds() + CONNECTION_SECONDS)},
            },
        )

    def forget(self, connection: str) -> list[str]:
        """Forget ``connection`` and return the shares that it followed."""
        answer = self._dynamodb.delete_item(
            TableName=self._table, Key={"connection": {"S": connection}}, ReturnValues="ALL_OLD"
        )
        return list(answer.get("Attributes", {}).get("shares", {}).get("SS", []))
