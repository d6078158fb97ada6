"""Processes of the gateway share the health of upstreams, through the table of budgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from opencode_cloud.gateway.models import PLATFORM, Circuit, Failure
from opencode_cloud.gateway.service.health import Health
from opencode_cloud.gateway.store import SharedHealth, health
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from tests.emulator.budgets.conftest import Tables

SLOW = Circuit(PLATFORM, "anthropic", "claude/with-a-slash")


@pytest.fixture
async def dynamodb(tables: Tables) -> AsyncIterator[AsyncDynamoDB]:
    client = AsyncDynamoDB()
    yield client
    await client.close()


class Process:
    """The part of a gateway process that handles health."""

    def __init__(self, dynamodb: AsyncDynamoDB, tables: Tables) -> None:
        self.shared = SharedHealth(
            dynamodb, tables.budgets, lambda owner, rests: self.health.update_shared(owner, rests)
        )
        self.health = Health(publish=self.shared.publish)

    async def fails(self, circuit: Circuit = SLOW) -> None:
        self.health.failed(circuit, Failure.SLOW)
        await self.done()

    async def looks(self, owner: str = PLATFORM) -> None:
        self.shared._read_at.clear()
        self.shared.refresh(owner)
        await self.done()

    async def done(self) -> None:
        await asyncio.gather(*self.shared._tasks)


async def test_what_several_saw_once_each_all_know(tables: Tables, dynamodb: AsyncDynamoDB) -> None:
    processes = [Process(dynamodb, tables) for _ in range(health.FAILURES)]
    for process in processes[:-1]:
        await process.fails()
    stranger = Process(dynamodb, tables)
    await stranger.looks()
    assert stranger.health.is_well(SLOW)
    await processes[-1].fails()
    await stranger.looks()
    assert not stranger.health.is_well(SLOW)
    assert stranger.health.is_well(SLOW._replace(model="another"))
    assert stranger.health.is_well(SLOW._replace(upstream="bedrock"))


async def test_all_fail_at_once_and_each_failure_counts(tables: Tables, dynamodb: AsyncDynamoDB) -> None:
    processes = [Process(dynamodb, tables) for _ in range(20)]
    await asyncio.gather(*(process.fails() for process in processes))
    [row] = tables.rows(tables.budgets)
    assert int(row["failures"]["N"]) == 20
    assert "ttl" in row


async def test_old_failures_are_forgotten(tables: Tables, dynamodb: AsyncDynamoDB) -> None:
    one = Process(dynamodb, tables)
    for _ in range(health.FAILURES - 1):
        await one.fails()
    tables.client.update_item(
        TableName=tables.budgets,
        Key={"pk": {"S": "health"}, "sk": {"S": f"{SLOW.upstream}/{SLOW.model}"}},
        UpdateExpression="SET #window = #window - :one",
        ExpressionAttributeNames={"#window": "window"},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    await one.fails()
    stranger = Process(dynamodb, tables)
    await stranger.looks()
    assert stranger.health.is_well(SLOW)


async def test_the_failures_of_a_workspaces_own_server_count_for_its_credential_alone(
    tables: Tables, dynamodb: AsyncDynamoDB
) -> None:
    mine, theirs = SLOW._replace(owner="crd_mine"), SLOW._replace(owner="crd_theirs")
    process, other = Process(dynamodb, tables), Process(dynamodb, tables)
    for _ in range(health.FAILURES):
        await process.fails(mine)
    for owner in ("crd_mine", "crd_theirs", PLATFORM):
        await other.looks(owner)
    assert [other.health.is_well(circuit) for circuit in (mine, theirs, SLOW)] == [False, True, True]
