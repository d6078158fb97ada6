"""Processes of the gateway share the health of upstreams, through the table of budgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from opencode_cloud.gateway.models import Failure
from opencode_cloud.gateway.service.health import Health
from opencode_cloud.gateway.store import SharedHealth, health
from opencode_cloud.kit.dynamodb import DynamoDB
from tests.emulator.budgets.conftest import Tables

SLOW = ("anthropic", "claude/with-a-slash")


@pytest.fixture
async def dynamodb(tables: Tables) -> AsyncIterator[DynamoDB]:
    client = DynamoDB()
    yield client
    await client.close()


class Process:
    """The part of a gateway process that handles health."""

    def __init__(self, dynamodb: DynamoDB, tables: Tables) -> None:
        self.shared = SharedHealth(dynamodb, tables.budgets, lambda rests: self.health.update_shared(rests))
        self.health = Health(publish=self.shared.publish)

    async def fails(self) -> None:
        self.health.failed(*SLOW, Failure.SLOW)
        await self.done()

    async def looks(self) -> None:
        self.shared._read_at = 0.0
        self.shared.refresh()
        await self.done()

    async def done(self) -> None:
        await asyncio.gather(*self.shared._tasks)


async def test_what_several_saw_once_each_all_know(tables: Tables, dynamodb: DynamoDB) -> None:
    processes = [Process(dynamodb, tables) for _ in range(health.FAILURES)]
    for process in processes[:-1]:
        await process.fails()
    stranger = Process(dynamodb, tables)
    await stranger.looks()
    assert stranger.health.is_well(*SLOW)
    await processes[-1].fails()
    await stranger.looks()
    assert not stranger.health.is_well(*SLOW)
    assert stranger.health.is_well("anthropic", "another")
    assert stranger.health.is_well("bedrock", SLOW[1])


async def test_all_fail_at_once_and_each_failure_counts(tables: Tables, dynamodb: DynamoDB) -> None:
    processes = [Process(dynamodb, tables) for _ in range(20)]
    await asyncio.gather(*(process.fails() for process in processes))
    [row] = tables.rows(tables.budgets)
    assert int(row["failures"]["N"]) == 20
    assert "ttl" in row


async def test_old_failures_are_forgotten(tables: Tables, dynamodb: DynamoDB) -> None:
    one = Process(dynamodb, tables)
    for _ in range(health.FAILURES - 1):
        await one.fails()
    tables.client.update_item(
        TableName=tables.budgets,
        Key={"pk": {"S": "health"}, "sk": {"S": "/".join(SLOW)}},
        UpdateExpression="SET #window = #window - :one",
        ExpressionAttributeNames={"#window": "window"},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    await one.fails()
    stranger = Process(dynamodb, tables)
    await stranger.looks()
    assert stranger.health.is_well(*SLOW)
