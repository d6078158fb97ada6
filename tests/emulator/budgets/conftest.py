"""The tables of budgets in a real DynamoDB of the emulator, without a deployment."""

from dataclasses import dataclass
from typing import Any

import pytest

from opencode_cloud.budgets.store import CounterStore
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from tests.ministack import Emulator


@dataclass
class Tables:
    """Empty tables ``budgets`` and ``usage``, and direct reads of them."""

    emulator: Emulator
    budgets: str
    usage: str

    @property
    def client(self) -> Any:
        return self.emulator.client("dynamodb")

    def store(self, dynamodb: AsyncDynamoDB) -> CounterStore:
        return CounterStore(dynamodb, self.budgets, self.usage)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.emulator.rows(table)

    def counters(self) -> dict[str, dict[str, int]]:
        """Return the counters by key: committed, reserved, spent, limit."""
        names = ("committed", "reserved", "spent", "limit")
        found = [row for row in self.rows(self.budgets) if row["sk"]["S"] == "COUNTER"]
        return {row["pk"]["S"]: {name: int(row.get(name, {"N": "0"})["N"]) for name in names} for row in found}

    def reservations(self) -> list[str]:
        found = [row["pk"]["S"] for row in self.rows(self.budgets) if row["sk"]["S"] == "RESERVATION"]
        return [key.removeprefix("call#") for key in found]


def create_tables(emulator: Emulator) -> Tables:
    return Tables(emulator, emulator.create_table("budgets"), emulator.create_table("usage"))


@pytest.fixture
def tables(environment: Emulator) -> Tables:
    return create_tables(environment)
