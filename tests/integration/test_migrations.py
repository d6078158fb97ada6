"""The schema that the migrations create, in a real server."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from local.database import OWNER, LocalDatabase
from local.stack import LocalStack
from opencode_cloud.kit import migration
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.sql import Database, utc_now
from opencode_cloud.schema.usage import (
    usage_breakdown_days,
    usage_breakdown_months,
    usage_days,
    usage_session_months,
    usage_sessions,
)
from opencode_cloud.usage.service import Breakdowns
from opencode_cloud.usage.service.rollups import day_start
from opencode_cloud.usage.store.breakdowns import BreakdownStore
from tests.unit.usage.events import WORKSPACE, rows

MIGRATIONS = Path(__file__).parents[2] / "migrations"


@pytest.fixture
def owner(database_server: LocalDatabase) -> Database:
    return Database(database_server.access.url(OWNER))


def test_code_and_schema_agree(owner: Database) -> None:
    migration.check(owner.engine, MIGRATIONS)


def test_the_stage_s_database_has_the_schema_of_the_code(stack: LocalStack) -> None:
    migration.check(Database(stack.database.access.url(OWNER)).engine, MIGRATIONS)


def test_a_second_migration_changes_nothing_and_says_the_version(owner: Database) -> None:
    assert migration.upgrade(owner.engine, MIGRATIONS) == migration.newest(MIGRATIONS)


def test_migrations_wait_for_each_other(owner: Database) -> None:
    with owner.engine.connect() as other:
        assert other.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": migration.LOCK}).scalar() == 1
        with pytest.raises(Unavailable, match="Another migration"):
            migration.upgrade(owner.engine, MIGRATIONS, wait_seconds=0)
        other.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": migration.LOCK})
    assert migration.upgrade(owner.engine, MIGRATIONS, wait_seconds=0)


def test_a_migration_waits_for_another_as_long_as_it_says_and_its_statements_take_any_time(
    database_server: LocalDatabase,
) -> None:
    url = database_server.access.url(OWNER)
    impatient, migrating = Database(url, statement_seconds=1), Database(url, statement_seconds=None)
    with pytest.raises(Unavailable, match="connection to the database was lost"), impatient.transaction() as connection:
        connection.execute(text("SELECT SLEEP(3)"))
    with migrating.transaction() as connection:
        assert connection.execute(text("SELECT SLEEP(2)")).scalar() == 0
    with migrating.engine.connect() as holder:
        holder.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": migration.LOCK})
        with pytest.raises(Unavailable, match="Another migration"):
            migration.upgrade(migrating.engine, MIGRATIONS, wait_seconds=2)
        holder.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": migration.LOCK})
    impatient.dispose()
    migrating.dispose()


def test_many_at_once_migrate_an_empty_database_once(tmp_path: Path) -> None:
    server = LocalDatabase(tmp_path, MIGRATIONS.parent)
    server.start(durability="process")
    try:
        engines = [create_engine(server.access.url(OWNER)) for _ in range(4)]
        # Threads share Alembic's state, which belongs to the process. The lock lets only one thread work at a time.
        with ThreadPoolExecutor(4) as pool:
            versions = list(pool.map(lambda engine: migration.upgrade(engine, MIGRATIONS), engines))
        assert set(versions) == {migration.newest(MIGRATIONS)}
        for engine in engines:
            engine.dispose()
    finally:
        server.stop()


def test_breakdowns_begin_with_the_calls_that_the_rollup_by_day_has(tmp_path: Path) -> None:
    before = tmp_path / "earlier"
    (before / "versions").mkdir(parents=True)
    versions = sorted((MIGRATIONS / "versions").glob("*.py"))
    for file in [MIGRATIONS / "env.py", *(each for each in versions if each.name < "0020")]:
        (before / file.relative_to(MIGRATIONS)).write_text(file.read_text())
    server = LocalDatabase(tmp_path, MIGRATIONS.parent)
    server.start(durability="process")
    try:
        owner = Database(server.access.url(OWNER))
        migration.upgrade(owner.engine, before)
        first = day_start(utc_now()) - timedelta(days=30)
        with owner.transaction() as connection:
            calls = [_day_of_calls(number, first) for number in range(80)]
            connection.execute(usage_days.insert(), calls)
            connection.execute(usage_sessions.insert(), [{**each, "session": f"ses_{each['calls']}"} for each in calls])
        migration.upgrade(owner.engine, MIGRATIONS)
        store = BreakdownStore(owner)
        assert Breakdowns(store).run() == 0
        tables = (usage_breakdown_days, usage_breakdown_months, usage_session_months)
        filled = [rows(owner, table) for table in tables]
        for day in {row["start"] for row in filled[0]}:
            store.rebuild_day(WORKSPACE, day)
        for month in {row["start"] for row in filled[1]}:
            store.rebuild_month(WORKSPACE, month)
            store.rebuild_session_month(WORKSPACE, month)
        assert [rows(owner, table) for table in tables] == filled
        assert len(filled[0]) > 80
        assert len(filled[2]) == 80
        owner.dispose()
    finally:
        server.stop()


def _day_of_calls(number: int, first: datetime) -> dict[str, Any]:
    return {
        "workspace_id": WORKSPACE,
        "start": first + timedelta(days=number % 30),
        "grouping": number.to_bytes(32),
        "model": ("claude", "Claude", "gpt")[number % 3],
        "member_id": f"mem_{number % 7}" if number % 2 else "",
        "service_account_id": "" if number % 2 else "svc_1",
        "key_id": f"key_{number % 5}",
        "project": "",
        "byok": False,
        "outcome": "completed",
        "calls": number,
        "cost": number * 7,
    }


def test_a_failing_migration_raises_and_keeps_the_version(owner: Database, tmp_path: Path) -> None:
    newest = migration.newest(MIGRATIONS)
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for file in [MIGRATIONS / "env.py", *(MIGRATIONS / "versions").glob("*.py")]:
        (folder / file.relative_to(MIGRATIONS)).write_text(file.read_text())
    (folder / "versions" / "9999_wrong.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{newest}'\n"
        "def upgrade():\n    op.execute('ALTER TABLE no_such_table ADD COLUMN a INT')\n"
    )
    with pytest.raises(Exception, match="no_such_table"):
        migration.upgrade(owner.engine, folder)
    with owner.engine.connect() as connection:
        assert migration.current(connection) == newest
    assert migration.upgrade(owner.engine, MIGRATIONS, wait_seconds=0) == newest


def test_the_console_may_change_rows_and_not_the_schema(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(OperationalError, match="denied"):
        connection.execute(text("CREATE TABLE mine (id INT)"))


def test_addresses_are_compared_byte_by_byte(database: Database) -> None:
    """The column has one canonical form, so no collation may fold letters: ß and ss are different people."""
    insert = text(
        "INSERT INTO accounts (id, email, address, created_at, updated_at) VALUES (:id, :email, :address, :now, :now)"
    )
    with database.transaction() as connection:
        for number, address in enumerate(("strasse@example.com", "straße@example.com", "Strasse@example.com")):
            row = {"id": f"acc_{number}", "email": address, "address": address, "now": utc_now()}
            connection.execute(insert, row)
    twin = {"id": "acc_9", "email": "x", "address": "strasse@example.com", "now": utc_now()}
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(insert, twin)


def test_foreign_keys_are_kept(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO members (id, workspace_id, account_id, role, created_at, updated_at) "
                "VALUES ('mem_1', 'wrk_none', 'acc_none', 'owner', :now, :now)"
            ),
            {"now": utc_now()},
        )


ONLY_ON_ONE = re.compile(
    r"0900_ai_ci|->>|JSON_VALUE|MEMBER OF|RETURNING|IF NOT EXISTS|FOR SHARE|LATERAL|INVISIBLE|UUID_TO_BIN|"
    r"\.returning\(|INSERT[^;]* AS new|TINYBLOB|sa\.LargeBinary",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", sorted((MIGRATIONS / "versions").glob("*.py")), ids=lambda path: path.stem)
def test_versions_use_only_what_mariadb_and_mysql_share(path: Path) -> None:
    assert not ONLY_ON_ONE.findall(path.read_text())


def test_versions_form_one_line(owner: Database) -> None:
    numbers = [path.name.partition("_")[0] for path in sorted((MIGRATIONS / "versions").glob("*.py"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert migration.newest(MIGRATIONS) == numbers[-1]
