"""Find a MariaDB server that needs no root: the one on PATH, else Debian's, unpacked into `.tools/mariadb`."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "libaio1",
    "liburing2",
    "mysql-common",
    "mariadb-common",
    "libmariadb3",
    "mariadb-client-core",
    "mariadb-client",
    "mariadb-server-core",
)
"""Not `mariadb-server`, which would enable a service of the whole machine; `mariadb-client` has `mariadb-dump`."""

ADVICE = (
    "MariaDB 10.11 or newer is needed: put `mariadbd` and `mariadb-install-db` on PATH "
    "(Debian and Ubuntu: apt-get install mariadb-server-core; macOS: brew install mariadb; Fedora: dnf install "
    "mariadb-server). It runs in a private folder, as you, and needs no service."
)


class NoServer(Exception):
    """This machine has no database server, and none could be fetched. The message says what to install."""


@dataclass(frozen=True, slots=True)
class MariaDB:
    """The programs of one installation."""

    server: Path
    install: Path
    client: Path | None
    dump: Path | None
    base: Path | None = None
    """Folder of the installation's files; None if the programs find it themselves."""
    libraries: tuple[Path, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of its programs: the folders of their libraries."""
        return {"LD_LIBRARY_PATH": os.pathsep.join(map(str, self.libraries))} if self.libraries else {}

    @property
    def options(self) -> list[str]:
        """First arguments on the command lines of its programs."""
        return ["--no-defaults", *([f"--basedir={self.base}"] if self.base else [])]


def find(root: Path) -> MariaDB:
    """Return an installation. Without one on the machine, fetch it into `root`/.tools once.

    Raises:
        NoServer: There is none, and none can be fetched.
    """
    return _on_path() or _unpacked(root / ".tools" / "mariadb") or _fetched(root / ".tools" / "mariadb")


def _on_path() -> MariaDB | None:
    # Debian keeps servers in sbin, which is not on everyone's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    server, install = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    if not (server and install):
        return None
    client, dump = (shutil.which(name, path=path) for name in ("mariadb", "mariadb-dump"))
    return MariaDB(Path(server), Path(install), Path(client) if client else None, Path(dump) if dump else None)


def _unpacked(folder: Path) -> MariaDB | None:
    base = folder / "usr"
    client, dump = base / "bin" / "mariadb", base / "bin" / "mariadb-dump"
    server = MariaDB(
        server=base / "sbin" / "mariadbd",
        install=base / "bin" / "mariadb-install-db",
        client=client if client.exists() else None,
        dump=dump if dump.exists() else None,
        base=base,
        libraries=tuple(sorted(path.parent for path in base.glob("lib/*/libmariadb.so.3"))),
    )
    return server if server.server.exists() and server.libraries else None


def _fetched(folder: Path) -> MariaDB:
    """Unpack Debian's packages without installing them, so neither root nor a service is needed."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise NoServer(ADVICE)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _turn(folder.parent):
        return _unpacked(folder) or _fetch(folder)


@contextmanager
def _turn(folder: Path) -> Generator[None]:
    """Wait for other processes that fetch into `folder`: the first tests of a new checkout run in several."""
    with (folder / "fetching.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path) -> MariaDB:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        archives, draft = Path(scratch, "archives"), Path(scratch, "mariadb")
        archives.mkdir()
        _run(["apt-get", "--quiet", "download", *PACKAGES], archives)
        for archive in sorted(archives.glob("*.deb")):
            _run(["dpkg", "-x", str(archive), str(draft)], archives)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    server = _unpacked(folder)
    if server is None:
        raise NoServer(f"The packages {', '.join(PACKAGES)} hold no server. {ADVICE}")
    return server


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoServer(f"{ADVICE}\n(Fetching it failed: {' '.join(command[:3])} ...: {done.stderr.strip()})")
