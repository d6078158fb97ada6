"""The outbox and the projection over a real database, and a real DynamoDB and SQS of the emulator."""

from dataclasses import dataclass
from typing import Any

import boto3
import msgspec

from opencode_cloud.access.credentials import hash_of_key
from opencode_cloud.access.models import Known, ProjectionKey
from opencode_cloud.access.service.projection import Projection
from opencode_cloud.access.store.projection import ProjectionStore
from opencode_cloud.access.store.projection_source import ProjectionSource
from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sql import Connection, Database
from opencode_cloud.outbox.deliveries import RelayQueue
from opencode_cloud.outbox.service import Outbox, Relay
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.policies.service import Compiler, Publisher
from opencode_cloud.policies.store import DocumentStore
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.workspaces import members, service_accounts, workspaces

KEY = "oc_sk_test_"
"""The prefix of a test's keys. The id follows."""


@dataclass
class Team:
    """Ids of a test's workspace and its objects."""

    workspace: str
    account: str
    member: str
    service_account: str
    key: str
    digest: bytes


class Planes:
    """Both sides: the truth in MySQL, and the projection in DynamoDB."""

    def __init__(self, database: Database, table: str, queue_url: str) -> None:
        self.database = database
        self.table = table
        self.queue_url = queue_url
        self.truth = ProjectionSource(Compiler(DocumentStore(database)))
        self.projection = Projection(ProjectionStore(database, table), self.truth)
        self.outbox = self.outbox_with(self.projection.relay)

    def outbox_with(self, relay: Relay) -> Outbox:
        return Outbox(OutboxStore(self.database, self.queue_url), relay)

    def found(self) -> Team:
        """Write a workspace with one object of each kind, without a message."""
        now, key = utc_now(), new_id("key")
        digest = hash_of_key(KEY + key)
        team = Team(new_id("wrk"), new_id("acc"), new_id("mem"), new_id("svc"), key, digest)
        dated: dict[str, Any] = {"created_at": now, "updated_at": now}
        where = {"workspace_id": team.workspace}
        with self.database.transaction() as connection:
            email = f"{team.account}@example.com"
            connection.execute(accounts.insert(), {"id": team.account, "email": email, **dated})
            connection.execute(workspaces.insert(), {"id": team.workspace, "name": "Acme", **dated})
            row = {"id": team.member, **where, "account_id": team.account, "role": "owner", **dated}
            connection.execute(members.insert(), row)
            row = {"id": team.service_account, **where, "name": "ci", "created_by": "ada", **dated}
            connection.execute(service_accounts.insert(), row)
            self._add_key(connection, team)
        return team

    def _add_key(self, connection: Connection, team: Team) -> None:
        row = {"id": team.key, "workspace_id": team.workspace, "member_id": team.member, "name": "k"}
        row |= {"hash": team.digest, "prefix": "oc_sk_aaaa", "suffix": "zzzz", "scopes": ["inference"]}
        connection.execute(keys.insert(), {**row, "created_by": "ada", "created_at": utc_now()})

    def account_message(self, team: Team) -> OutboxMessage:
        return OutboxMessage(0, Topic.ACCOUNT, team.account, None, relayed=False)

    def projected(self, key: ProjectionKey) -> bytes | None:
        """Return the value that the hot planes read."""
        pk, sk = key.row
        row: Any = aws.dynamodb().get_item(
            TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        item = row.get("Item", {})
        return item["value"]["S"].encode() if "value" in item else None

    def true(self, key: ProjectionKey) -> bytes | None:
        """Return the value that they should read."""
        with self.database.transaction() as connection:
            known: Known | None = self.truth.at(connection, key)
        return None if known is None else msgspec.json.encode(known)

    def received(self) -> list[dict[str, Any]]:
        """Receive the messages of the relay's queue, as Lambda would deliver them."""
        queues: Any = boto3.client("sqs")  # pyright: ignore[reportUnknownMemberType]
        answer: Any = queues.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=3)
        found = answer.get("Messages", [])
        for message in found:
            queues.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [
            {"messageId": each["MessageId"], "receiptHandle": each["ReceiptHandle"], "body": each["Body"]}
            for each in found
        ]

    def deliver(self, outbox: Outbox | None = None) -> int:
        """Process one batch by the relay; return the number of messages. No message may fail."""
        records = self.received()
        answer = RelayQueue(outbox or self.outbox).handle({"Records": records})
        assert answer == {"batchItemFailures": []}
        return len(records)


def publisher_of(planes: Planes) -> Publisher:
    """Publish policies and configuration documents, as functions/console does."""
    return Publisher(DocumentStore(planes.database), planes.outbox, AuditTrail(AuditStore()))
