"""The dashboard of a month with half a million calls; `python -m benchmarks.usage` measures ten million."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import usage
from benchmarks.noise import others_share
from local.database import OWNER, LocalDatabase
from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database

ROOT = Path(__file__).parents[2]
MOST_OTHERS = 0.6
"""The share of all cores that other programs may use. The other process of a test run uses up to half."""


@pytest.mark.slow
def test_a_months_dashboard_is_there_within_two_seconds(tmp_path: Path) -> None:
    server = LocalDatabase(tmp_path, ROOT)
    server.start("--innodb-flush-log-at-trx-commit=0")
    try:
        owner = Database(server.access.url(OWNER), statement_seconds=None)
        migration.upgrade(owner.engine, ROOT / "migrations")
        usage.fill(owner, 500_000, members=200)
        with others_share() as others:
            figures = usage.measure(Database(server.access.url()))
    finally:
        server.stop()
    if others[0] > MOST_OTHERS:
        pytest.skip(f"other programs used {others[0]:.0%} of the machine, so its speed tells nothing about ours")
    assert figures[usage.DASHBOARD]["first"] < usage.GOAL_SECONDS, figures
