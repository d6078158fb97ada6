"""Fixtures of all tests: one deployed local stage per session. Profiles of hypothesis."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import text

from local.database import OWNER, LocalDatabase
from local.stack import LocalStack
from opencode_cloud.kit import migration
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.sql import Database, metadata
from tests import certificates, patience, sharing_stage
from tests.scheduling import GroupScheduling

if TYPE_CHECKING:
    from tests.upstreams.world import World

ROOT = Path(__file__).resolve().parent.parent

gc.disable()  # until all tests are collected: a million objects come, and none goes
certificates.share()
settings.register_profile("seeking", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("seeking"), max_examples=2000)
# The same examples in each run, so that `make test` fails for a reason in the change. `make properties` seeks new ones.
settings.register_profile("quick", parent=settings.get_profile("seeking"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def own_credentials() -> None:
    """Read the credentials again: a process keeps them for a minute, and the test before may have set others."""
    credential_source().renew()


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Iterator[LocalStack]:
    """Return the local stage, deployed without data and reachable at `stack.url`: one for all processes."""
    with sharing_stage.stage_of(pytestconfig) as running:
        yield running


@pytest.fixture(scope="session")
def world(stack: LocalStack) -> Iterator[World]:
    """Return the stage with models that scripted upstreams serve over HTTP."""
    from tests.upstreams.world import world_on  # imports the providers' SDKs, which takes seconds

    with world_on(stack) as made:
        yield made


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDatabase]:
    """Run a MariaDB with empty tables, without AWS. It starts in two seconds."""
    server = LocalDatabase(tmp_path_factory.mktemp("database"), ROOT)
    server.start(durability="process")
    owner = Database(server.access.url(OWNER))
    migration.upgrade(owner.engine, ROOT / "migrations")
    owner.dispose()
    yield server
    server.stop()


@dataclass(frozen=True)
class _Emptied:
    functions: Database
    owner: Database


@pytest.fixture(scope="session")
def _emptied(database_server: LocalDatabase) -> _Emptied:
    return _Emptied(Database(database_server.access.url()), Database(database_server.access.url(OWNER)))


APPEND_ONLY = (
    "ledger_transactions",
    "ledger_entries",
    "ledger_postings",
    "ledger_checkpoints",
    "ledger_statements",
    "payment_documents",
)
"""Tables of the ledger whose rows a trigger protects. Only the owner of the schema can empty them."""


@pytest.fixture
def database(_emptied: _Emptied) -> Database:
    """Return the console plane's tables, empty, with the rights of its functions."""
    clear(_emptied.functions, _emptied.owner)
    return _emptied.functions


def clear(functions: Database, owner: Database) -> None:
    """Empty the tables, with the rights of functions and of the schema's owner."""
    append_only = set(APPEND_ONLY)
    with functions.transaction() as connection:
        # One statement finds the tables with rows. Most tests leave most tables empty.
        looks = (f"SELECT '{name}' FROM DUAL WHERE EXISTS (SELECT 1 FROM `{name}`)" for name in metadata.tables)
        written = set(connection.execute(text(" UNION ALL ".join(looks))).scalars())
        for table in reversed(metadata.sorted_tables):
            if table.name in written - append_only:
                connection.execute(table.delete())
    if truncated := sorted(written & append_only):
        with owner.transaction() as connection:
            for name in truncated:
                connection.execute(text(f"TRUNCATE TABLE {name}"))


# ------------------------------------------------------------------------------------- processes of one run

KEEPER = pytest.StashKey[sharing_stage.Keeper]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each worker where to request the stage. This runs in the process that starts the workers."""
    config: pytest.Config = node.config
    if KEEPER not in config.stash:
        config.stash[KEEPER] = sharing_stage.Keeper()
    node.workerinput["stage"] = str(config.stash[KEEPER].meeting.folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    keeper = config.stash.get(KEEPER, None)
    if keeper:
        keeper.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """Keep groups together under ``--dist loadgroup``, and begin with others while the stage deploys."""
    if config.getvalue("dist") != "loadgroup":
        return None
    keeper = config.stash[KEEPER]
    return GroupScheduling(config, log, keeper.meeting.is_over)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that need the stage, and give slow ones time.

    A module's tests stay in one process unless they name a group.
    """
    for item in items:
        needs: list[str] = getattr(item, "fixturenames", [])
        if "stack" in needs:
            item.add_marker("stage")
        if item.get_closest_marker("slow") and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
        if item.get_closest_marker("xdist_group") is None:
            module = item.path.relative_to(ROOT).as_posix()
            item.add_marker(pytest.mark.xdist_group("syntheses" if "syntheses" in needs else module))
    if getattr(config.option, "loadgroup", False) and not config.pluginmanager.hasplugin("randomly"):
        items.sort(key=turn_of)


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
    gc.freeze()  # what is imported by now stays, so collections need not look at a million objects again
    patience.be_patient()
    meeting = sharing_stage.meeting_of(session.config)
    if meeting and any(item.get_closest_marker("stage") for item in session.items):
        meeting.want()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remove the group that pytest-xdist adds to a test's name, so that reports show names that can be run."""
    if hasattr(report, "node") and report.nodeid.rfind("@") > report.nodeid.rfind("]"):
        report.nodeid = report.nodeid.rpartition("@")[0]


SLOW_SECONDS = 1200
"""How long a slow test may take. A busy machine takes four times as long as a free one."""

LONGEST = ("gateway", "client")
"""The longest groups begin first, so that none of them runs alone at the end."""


def turn_of(item: pytest.Item) -> tuple[int, int]:
    """Return a test's rank: first tests that run while the stage deploys, then the stage's tests, then the rest."""
    if item.get_closest_marker("stage") is None:
        return (0 if item.path.is_relative_to(ROOT / "tests" / "infra") else 2), 0
    mark = item.get_closest_marker("xdist_group")
    group = mark.args[0] if mark else ""
    return 1, LONGEST.index(group) if group in LONGEST else len(LONGEST)
