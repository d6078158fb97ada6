"""A private MariaDB in a folder, on a port of the loopback interface, with its own passwords.

It has two users, as a database on AWS has: the owner, who changes the schema, and the console plane's, who may only
read and write rows.
"""

import getpass
import hashlib
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from local.mariadb import MariaDB, find
from local.processes import READY_SECONDS, Program, ProgramFailed, accepts, clean_environment, free_port, is_free

NAME = "opencode_cloud"
"""Name of the database in the server."""

Durability = Literal["disk", "process"]

OWNER = "owner"
USER = "console"


@dataclass(frozen=True, slots=True)
class Access:
    """The server's port, and the users' passwords."""

    port: int
    owner_password: str
    password: str

    def environment(self) -> dict[str, str]:
        """Return the database's settings of stage `local` (infra/stage.py)."""
        return {
            "DATABASE_PORT": str(self.port),
            "DATABASE_PASSWORD": self.password,
            "DATABASE_OWNER_PASSWORD": self.owner_password,
        }

    def url(self, user: str = USER) -> str:
        """Return SQLAlchemy's URL of the database for one of the users."""
        password = self.owner_password if user == OWNER else self.password
        server = f"{user}:{quote(password, safe='')}@127.0.0.1:{self.port}"
        return f"mysql+pymysql://{server}/{NAME}?charset=utf8mb4&ssl_disabled=true"


class LocalDatabase:
    """One server and its data in `state`/database. It stops when the process that started it ends."""

    def __init__(self, state: Path, root: Path) -> None:
        self.program = Program("database", state / "run", state / "logs")
        self._root = root
        self._folder = state / "database"
        self._access = state / "database.json"
        self.is_new = False
        """True if the last start found no data, so no tables exist."""

    @property
    def access(self) -> Access:
        """The access to the server, known after the first start."""
        return Access(**json.loads(self._access.read_text()))

    def start(self, *options: str, durability: Durability = "disk") -> None:
        """Make the server's files when there are none, start it with more `options`, and wait until it answers.

        `durability` is what a commit survives: a power cut, or only a killed process.

        Raises:
            NoServer: This machine has no MariaDB, and none could be fetched.
            ProgramFailed: It did not start.
        """
        programs = find(self._root)
        access = self._choose()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._folder / "data" / "mysql").exists():
            self._install(programs)
            self.is_new = True
        _write_private(self._folder / "start.sql", _statements(access))
        command = [*self._command(programs, access), *_DURABLE[durability], *options]
        self.program.start(command, self._environment(programs), self._folder)
        self.program.wait_until(lambda: accepts(access.port), READY_SECONDS)

    def stop(self) -> None:
        """Stop it cleanly."""
        self.program.stop()

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.program.kill()

    def dump(self) -> bytes:
        """Return the database as SQL statements, as `mariadb-dump` writes them: one consistent state.

        Raises:
            ProgramFailed: It could not be read, or the installation lacks the program.
        """
        return self._run(find(self._root).dump, "--single-transaction", "--hex-blob", NAME)

    def load(self, dump: bytes) -> None:
        """Replace the tables with the names in a dump by those of the dump.

        Raises:
            ProgramFailed: A statement failed, or the installation lacks the program.
        """
        self._run(find(self._root).client, NAME, stdin=dump)

    def _run(self, program: Path | None, *options: str, stdin: bytes = b"") -> bytes:
        if program is None:
            raise ProgramFailed("MariaDB's client programs are not installed beside its server")
        access = self.access
        command = [str(program), "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", f"--port={access.port}"]
        environment = self._environment(find(self._root)) | {"MYSQL_PWD": access.owner_password}
        done = subprocess.run(
            [*command, f"--user={OWNER}", *options], env=environment, input=stdin, capture_output=True, check=False
        )
        if done.returncode:
            raise ProgramFailed(done.stderr.decode(errors="replace"))
        return done.stdout

    def note_schema(self) -> None:
        """Record the versions of the schema that the data has."""
        (self._folder / "versions").write_text(_versions(self._root))

    def forget_other_schema(self) -> None:
        """Delete the data if versions of the schema were changed since :meth:`note_schema`, rather than added to.

        Only for disposable data: until a version is released it may be edited in place.
        """
        noted = self._folder / "versions"
        if not noted.exists() or not _versions(self._root).startswith(noted.read_text()):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _choose(self) -> Access:
        """Keep port and passwords of the last start, which deployed functions use; choose a new port if it is taken."""
        if self._access.exists():
            access = self.access
            port = access.port if _becomes_free(access.port) else free_port()
            chosen = Access(port, access.owner_password, access.password)
        else:
            chosen = Access(free_port(), secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        _write_private(self._access, json.dumps(asdict(chosen)))
        return chosen

    def _install(self, programs: MariaDB) -> None:
        data = self._folder / "data"
        # Remove the rest of an interrupted installation, which would look like a database.
        shutil.rmtree(data, ignore_errors=True)
        command = [str(programs.install), *programs.options, f"--datadir={data}", f"--user={getpass.getuser()}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-log-bin", *_SIZES]
        done = subprocess.run(
            command,
            env=self._environment(programs),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProgramFailed(f"mariadb-install-db failed.\n{done.stdout}{done.stderr}")

    def _command(self, programs: MariaDB, access: Access) -> list[str]:
        server = [str(programs.server), *programs.options, f"--datadir={self._folder / 'data'}"]
        server += [f"--port={access.port}", "--bind-address=127.0.0.1", "--socket=server.sock", "--pid-file=server.pid"]
        server += [f"--init-file={self._folder / 'start.sql'}", f"--user={getpass.getuser()}", "--skip-name-resolve"]
        server += ["--skip-log-bin", "--default-time-zone=+00:00", "--character-set-server=utf8mb4", *_SIZES]
        server += ["--max-connections=500", "--performance-schema=OFF", "--sql-mode=TRADITIONAL,ONLY_FULL_GROUP_BY"]
        return [sys.executable, "-m", "local.lifeline", *server]

    def _environment(self, programs: MariaDB) -> dict[str, str]:
        # Servers name temporary files by process id only, so servers with one folder would delete each other's.
        own = {"TMPDIR": str(self._folder), "UMASK": "0600", "UMASK_DIR": "0700"}
        return clean_environment(**programs.environment, PYTHONPATH=str(self._root), **own)


_DURABLE: Mapping[Durability, tuple[str, ...]] = {
    "disk": (),
    "process": ("--innodb-flush-log-at-trx-commit=2",),
}
"""Options by what a commit survives. With `process` the operating system writes the log within a second."""

_SIZES = ("--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M")
"""Options for a small server: a new folder has 30 MB and is copied in a tenth of a second."""


def _versions(root: Path) -> str:
    """Return a line for each version of the schema, in order: its name and a digest."""
    files = sorted((root / "migrations" / "versions").glob("*.py"))
    return "".join(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n" for file in files)


def _becomes_free(port: int) -> bool:
    """Wait until a killed server has released its port."""
    deadline = time.monotonic() + 3
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _statements(access: Access) -> str:
    """Return the statements that the server executes at each start, before it accepts connections; one per line."""
    lines = [f"CREATE DATABASE IF NOT EXISTS {NAME} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;"]
    for user, password, rights in (
        (OWNER, access.owner_password, "ALL PRIVILEGES"),
        (USER, access.password, "SELECT, INSERT, UPDATE, DELETE"),
    ):
        who = f"'{user}'@'127.0.0.1'"
        lines += [f"CREATE USER IF NOT EXISTS {who};", f"ALTER USER {who} IDENTIFIED BY '{password}';"]
        lines += [f"GRANT {rights} ON {NAME}.* TO {who};"]
    # The installation allows root without a password, and root is not needed.
    lines += ["DROP USER IF EXISTS 'root'@'localhost', 'root'@'127.0.0.1', 'root'@'::1', ''@'localhost';"]
    return "\n".join(lines) + "\n"
