"""The outbox and the projection over a real database, and a real DynamoDB and SQS of the emulator."""

import secrets

import pytest

from opencode_cloud.kit.sql import Database
from tests.emulator.outbox.planes import Planes
from tests.ministack import Emulator


@pytest.fixture
def planes(environment: Emulator, database: Database) -> Planes:
    """Return both sides, empty."""
    queue = environment.client("sqs").create_queue(QueueName=f"relay-{secrets.token_hex(4)}")
    return Planes(database, environment.create_table("access"), queue["QueueUrl"])
