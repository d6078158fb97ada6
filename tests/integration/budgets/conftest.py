"""The tables of budgets in a real DynamoDB of the emulator, without a deployment."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import _lru_cache_wrapper, cache, cached_property
from typing import Any

import pytest

from local.deployment import CREDENTIALS, REGION
from opencode_cloud.budgets.store import CounterStore
from opencode_cloud.kit import aws, log
from opencode_cloud.kit.dynamodb import DynamoDB
from tests.local.conftest import Emulator


@dataclass
class Tables:
    """Fresh tables ``budgets`` and ``usage``, and who looks into them from outside."""

    emulator: Emulator
    budgets: str
    usage: str

    @cached_property
    def client(self) -> Any:
        return client_of(self.emulator)

    def store(self, dynamodb: DynamoDB) -> CounterStore:
        return CounterStore(dynamodb, self.budgets, self.usage)

    def rows(self, table: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [row for page in pages for row in page["Items"]]

    def counters(self) -> dict[str, dict[str, int]]:
        """Counters by key: committed, reserved, spent, limit."""
        names = ("committed", "reserved", "spent", "limit")
        found = [row for row in self.rows(self.budgets) if row["sk"]["S"] == "COUNTER"]
        return {row["pk"]["S"]: {name: int(row.get(name, {"N": "0"})["N"]) for name in names} for row in found}

    def reservations(self) -> list[str]:
        found = [row["pk"]["S"] for row in self.rows(self.budgets) if row["sk"]["S"] == "RESERVATION"]
        return [key.removeprefix("call#") for key in found]


@cache
def client_of(emulator: Emulator) -> Any:
    """Making a client takes longer than a hundred calls."""
    return emulator.client("dynamodb")


def create_tables(emulator: Emulator) -> Tables:
    """Make the tables with the keys and the index that the deployment gives them (infra/stacks/data.py)."""
    mark, client = secrets.token_hex(4), client_of(emulator)
    text = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    lease = [
        {"AttributeName": "lease_shard", "KeyType": "HASH"},
        {"AttributeName": "lease_until", "KeyType": "RANGE"},
    ]
    client.create_table(
        TableName=f"budgets-{mark}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            *text,
            {"AttributeName": "lease_shard", "AttributeType": "S"},
            {"AttributeName": "lease_until", "AttributeType": "N"},
        ],
        KeySchema=keys,
        GlobalSecondaryIndexes=[
            {"IndexName": "leases", "KeySchema": lease, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    client.create_table(
        TableName=f"usage-{mark}", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=text, KeySchema=keys
    )
    return Tables(emulator, f"budgets-{mark}", f"usage-{mark}")


def forget_clients() -> None:
    for value in vars(aws).values():
        if isinstance(value, _lru_cache_wrapper):
            value.cache_clear()


@pytest.fixture(scope="session")
def emulator_of_budgets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("budgets"))
    emulator.start()
    yield emulator
    emulator.program.stop()


@pytest.fixture
def tables(emulator_of_budgets: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    settings = {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator_of_budgets.url, "AWS_DEFAULT_REGION": REGION}
    for name, value in settings.items():
        monkeypatch.setitem(os.environ, name, value)
    monkeypatch.setattr(log.metrics.provider, "namespace", "Test")
    monkeypatch.setattr(log.metrics.provider, "service", "test")
    forget_clients()
    yield create_tables(emulator_of_budgets)
    forget_clients()
