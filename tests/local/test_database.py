"""The private MariaDB: its owner, its data after a crash, and a backup that can be restored."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select, text

from local.database import OWNER, LocalDatabase
from local.mariadb import NoServer, find
from local.processes import accepts
from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database, utc_now
from opencode_cloud.schema.identity import accounts
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "migrations"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDatabase]:
    server = LocalDatabase(tmp_path_factory.mktemp("mine"), ROOT)
    server.start()
    migration.upgrade(Database(server.access.url(OWNER)).engine, MIGRATIONS)
    yield server
    server.stop()


def _add(server: LocalDatabase, number: int) -> None:
    row = {"id": f"acc_{number}", "email": f"{number}@example.com", "created_at": utc_now(), "updated_at": utc_now()}
    with Database(server.access.url()).transaction() as connection:
        connection.execute(accounts.insert(), row)


def _count(server: LocalDatabase) -> int:
    with Database(server.access.url()).transaction() as connection:
        return connection.execute(select(func.count()).select_from(accounts)).scalar_one()


def test_its_files_are_its_owner_s_and_it_listens_to_this_machine_only(server: LocalDatabase, tmp_path: Path) -> None:
    folder = server.program.log.parents[1]
    for path in (folder / "database.json", folder / "database" / "start.sql"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "database").stat().st_mode) == 0o700
    (child,) = psutil.Process(server.program.pid).children()
    listening = {c.laddr.ip for c in child.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert server.access.password not in " ".join(child.cmdline())


def test_nobody_gets_in_without_a_password(server: LocalDatabase) -> None:
    for user in ("root", "console", OWNER):
        url = f"mysql+pymysql://{user}@127.0.0.1:{server.access.port}/mysql?ssl_disabled=true"
        with pytest.raises(Exception, match="denied"), Database(url, wait_seconds=0).transaction():
            pass


def test_what_was_committed_survives_a_power_cut_at_the_same_port(server: LocalDatabase) -> None:
    before = _count(server)
    _add(server, 1)
    port = server.access.port
    server.kill()
    server.start()
    assert server.access.port == port
    assert _count(server) == before + 1


def test_a_backup_restores_what_was_lost_and_the_schema_is_the_code_s(server: LocalDatabase) -> None:
    """The drill of docs/operate.md: dump, loss, load, migrate, compare."""
    _add(server, 2)
    kept = _count(server)
    backup = server.dump()
    with Database(server.access.url()).transaction() as connection:
        connection.execute(text("DELETE FROM accounts"))
    assert _count(server) == 0
    server.load(backup)
    assert _count(server) == kept
    owner = Database(server.access.url(OWNER))
    migration.upgrade(owner.engine, MIGRATIONS)
    migration.check(owner.engine, MIGRATIONS)


def test_it_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from local.database import LocalDatabase\n"
        "server = LocalDatabase(Path(sys.argv[1]), Path(sys.argv[2])); server.start()\n"
        "print(server.access.port, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(ROOT)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        port = int(parent.stdout.readline())
        (guard,) = psutil.Process(parent.pid).children()
        (database,) = guard.children()
        os.kill(parent.pid, signal.SIGKILL)
    database.wait(PATIENCE)
    assert not accepts(port)


def test_a_template_of_another_schema_is_not_begun_from(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    versions = root / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_first.py").write_text("one")
    data = tmp_path / "state" / "database"

    def noted() -> LocalDatabase:
        data.mkdir(parents=True, exist_ok=True)
        database = LocalDatabase(tmp_path / "state", root)
        database.note_schema()
        return database

    database = noted()
    (versions / "0002_second.py").write_text("two")
    database.forget_other_schema()
    assert data.exists(), "one more version is migrated"
    database = noted()
    (versions / "0001_first.py").write_text("edited")
    database.forget_other_schema()
    assert not data.exists()


def test_a_machine_without_any_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: None)
    with pytest.raises(NoServer, match="mariadb-install-db"):
        find(tmp_path)


def test_processes_of_a_new_checkout_fetch_one_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, root = tmp_path / "programs", tmp_path / "checkout"
    programs.mkdir()
    fetched = tmp_path / "fetched"
    unpacked = '"$3"/usr/sbin/mariadbd "$3"/usr/lib/x/libmariadb.so.3'
    for name, script in {
        "apt-get": f"echo fetch >> {fetched}; sleep 0.3; touch server.deb",
        "dpkg": f'mkdir -p "$3"/usr/sbin "$3"/usr/lib/x && touch {unpacked}',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    for name in ("sh", "sleep", "touch", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("local.mariadb._on_path", lambda: None)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: find(root), range(3)))
    assert {each.server for each in found} == {root / ".tools/mariadb/usr/sbin/mariadbd"}
    assert fetched.read_text() == "fetch\n"
