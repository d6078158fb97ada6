"""Fixtures of the console's tests."""

from __future__ import annotations

import pytest

from opencode_cloud.kit.sql import Database
from tests.unit.aws import Cloud
from tests.unit.console.office import Office


@pytest.fixture
def office(cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Return a workspace with people of every role, and their browsers."""
    return Office(cloud, database, monkeypatch)
