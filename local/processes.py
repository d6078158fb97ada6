"""Start and stop programs by their process id, including programs that an earlier run left running."""

import contextlib
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import psutil

READY_SECONDS = 180.0
"""Seconds until a program must answer. It needs seconds, and minutes on a busy machine."""

STOP_SECONDS = 20.0
"""Seconds that a program has to save its state before it is killed."""


_PORTS = random.SystemRandom()
"""Not seeded, so that parallel test processes try different ports."""

_RESERVED: set[int] = set()
"""Ports that this process has chosen."""


class ProgramFailed(Exception):
    """A program did not start, or ended. The message has the end of its log."""


class Program:
    """One program in its own process group, with a log and a file with its process id."""

    def __init__(self, name: str, run_folder: Path, log_folder: Path) -> None:
        self.name = name
        self.log = log_folder / f"{name}.log"
        self._record = run_folder / f"{name}.json"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The recorded process id while the program runs."""
        return self._child.pid if self._child else None

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start `command`. First stop a program of this name that an earlier run left running."""
        self.stop_leftover()
        for file in (self.log, self._record):
            file.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        created = psutil.Process(self._child.pid).create_time()
        self._record.write_text(json.dumps({"pid": self._child.pid, "created": created}))

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` returns true.

        Raises:
            ProgramFailed: The program ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{self.name} was not ready within {seconds:g} seconds.\n{self.log_end()}")
            time.sleep(0.02)

    def check(self) -> None:
        """Raise ProgramFailed when the program has ended."""
        if self._child is None or self._child.poll() is not None:
            code = self._child.returncode if self._child else "never started"
            raise ProgramFailed(f"{self.name} ended ({code}).\n{self.log_end()}")

    def log_end(self, lines: int = 15) -> str:
        """Return the last lines of the program's log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ask the program to end, and wait; kill it and its children if it does not."""
        if self._child is not None:
            _end_group(self._child.pid, signal.SIGTERM)
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._forget()
        self.stop_leftover()

    def kill(self) -> None:
        """SIGKILL the program and its children."""
        if self._child is not None:
            _end_group(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._forget()

    def stop_leftover(self) -> None:
        """Stop the process that an earlier run recorded, if it is still the same one."""
        process = self._recorded()
        if process is not None:
            _end_group(process.pid, signal.SIGTERM)
            if not _ends_within(process, STOP_SECONDS):
                _end_group(process.pid, signal.SIGKILL)
        self._record.unlink(missing_ok=True)

    def _forget(self) -> None:
        self._child = None
        self._record.unlink(missing_ok=True)

    def _recorded(self) -> psutil.Process | None:
        try:
            record = json.loads(self._record.read_text())
            process = psutil.Process(record["pid"])
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            return None
        # Another program may have this id now. Compare the start time, too.
        return process if abs(process.create_time() - record["created"]) < 0.01 else None


_LEFT_OUT = (
    *("AWS_", "CDK_"),
    "PYTHONDONTWRITEBYTECODE",  # a stage starts a hundred Python processes, which share compiled modules
    # Keys of providers: only the gateway needs them, and reads them from a secret (provider_keys.py).
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"),
)
EMULATED = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_READ_SECONDS": "30",
    "NO_PROXY": "127.0.0.1,localhost",
}
"""Settings of a program whose AWS is the emulator, which can take long to answer on a busy machine."""


def clean_environment(**settings: str) -> dict[str, str]:
    """Return the environment of a local program, without settings of the person's AWS account."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    return inherited | EMULATED | settings


def free_port() -> int:
    """Return a free port of the loopback interface, for a program that starts next.

    The system gives the ports from 32768 on to outgoing connections, so one of those could be taken before the
    program listens. The port is reserved: no caller in any process gets it again until this process ends or
    releases it.
    """
    while True:
        port = _PORTS.choice(range(10_000, 32_768))
        if _reserve(port):
            if _is_unbound(port):
                return port
            release(port)


def release(port: int) -> None:
    """Give back a port of `free_port`."""
    fcntl.lockf(_port_locks(), fcntl.LOCK_UN, 1, port)
    _RESERVED.discard(port)


def _reserve(port: int) -> bool:
    """Take the record lock of a port, unless this process or another one has it."""
    if port in _RESERVED:
        return False
    try:
        fcntl.lockf(_port_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    _RESERVED.add(port)
    return True


@cache
def _port_locks() -> int:
    """Open the file whose byte n stands for port n. It stays open, because closing it would give the locks back."""
    path = Path(tempfile.gettempdir(), f"opencode-cloud-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _is_unbound(port: int) -> bool:
    """Tell whether no socket has the port. An emulator that restores its state has bound it and does not listen yet."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def is_free(port: int) -> bool:
    """Tell whether a program can listen on `port` of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def accepts(port: int) -> bool:
    """Tell whether a program listens on `port` of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ends_within(process: psutil.Process, seconds: float) -> bool:
    """Wait for the end of a process. A zombie counts as ended."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


def _end_group(pid: int, number: signal.Signals) -> None:
    """Signal the group that `pid` leads: the program, and for SIGKILL all its children too."""
    with contextlib.suppress(ProcessLookupError):
        if number is signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
