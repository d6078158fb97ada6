"""What all tests share: one deployed local stage a session, and how hard hypothesis tries."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from local.database import OWNER, LocalDatabase
from local.stack import LocalStack, StackBusy
from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database, metadata

if TYPE_CHECKING:
    from tests.upstreams.world import World

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".local" / "test"
STAGE_FILE = ROOT / "tests" / "stage.toml"
TEMPLATE = ROOT / ".local" / "test-template"

settings.register_profile("quick", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("quick"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The whole local stage, deployed and reachable at `stack.url`, without data at first.

    Deployed only when its sources have changed since the last session: a session begins with a copy of that state.
    """
    running = _start(KEPT)
    yield running
    running.stop()
    if running.state != KEPT:
        shutil.rmtree(running.state)


@pytest.fixture(scope="session")
def world(stack: LocalStack) -> Iterator[World]:
    """The stage with models that scripted upstreams serve, over HTTP and as their prompts say."""
    from tests.upstreams.world import world_on  # with the providers' SDKs, which take seconds

    with world_on(stack) as made:
        yield made


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDatabase]:
    """A MariaDB with the tables and no rows, without anything of AWS: it is up in two seconds."""
    server = LocalDatabase(tmp_path_factory.mktemp("database"), ROOT)
    server.start()
    owner = Database(server.access.url(OWNER))
    migration.upgrade(owner.engine, ROOT / "migrations")
    owner.dispose()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _emptied(database_server: LocalDatabase) -> Database:
    return Database(database_server.access.url())


@pytest.fixture
def database(_emptied: Database) -> Database:
    """The tables of the console plane, empty, as its functions may use them."""
    with _emptied.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return _emptied


def _start(state: Path) -> LocalStack:
    """Start in `state`, or in a folder of our own when another session works there."""
    try:
        stack = LocalStack(state, template=TEMPLATE, stage_file=STAGE_FILE)
        stack.forget()
        stack.start()
    except StackBusy:
        return _start(state.with_name(f"{KEPT.name}-{os.getpid()}"))
    return stack
