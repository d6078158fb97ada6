"""The peers as processes on free ports of the loopback interface: started, measured, stopped or killed by their id."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.peers.installing import install
from benchmarks.processes import MEGABYTE

START_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that runs beside ours."""

    name: str
    folder: str
    packages: tuple[str, ...]
    """Packages whose versions the report names."""
    durability: str
    """The fault that an acknowledged item survives, and why."""
    options: tuple[str, ...] = ()


PEERS = (
    Peer(
        "Durable Object",
        "durable_object",
        ("miniflare", "workerd"),
        "power cut: workerd syncs the object's storage and the bucket's index before the answer, but not the copies",
    ),
    Peer(
        "ws + SQLite",
        "ws_sqlite",
        ("ws", "better-sqlite3"),
        "killed process: WAL with synchronous=NORMAL",
        ("NORMAL",),
    ),
    Peer(
        "ws + SQLite, synced",
        "ws_sqlite",
        ("ws", "better-sqlite3"),
        "power cut: WAL with synchronous=FULL",
        ("FULL",),
    ),
)


class NotStarted(Exception):
    """A peer ended before it was ready. The message holds its output."""


class Server:
    """One peer's process, with its state in a folder."""

    def __init__(self, peer: Peer, home: Path, state: Path) -> None:
        self.url = ""
        self._peer = peer
        self._home = home
        self._state = state
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process on a free port and wait until it is ready. Raises NotStarted."""
        command = ("node", "server.js", str(self._state), *self._peer.options)
        with (self._state / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=self._home, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        port = b""
        if self._process.stdout is not None:
            async with asyncio.timeout(START_SECONDS):
                port = await self._process.stdout.readline()
        if not port.strip().isdigit():
            raise NotStarted(f"{self._peer.name}: {(self._state / 'log').read_text()[-400:]}")
        self.url = f"http://127.0.0.1:{int(port)}"

    async def stop(self) -> None:
        """End the process; kill it where it does not end."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Kill the process, and those that it has started, without a warning."""
        if self._process is None:
            return
        for process in reversed(self._tree()):
            process.kill()
        await self._process.wait()

    def memory(self) -> float:
        """Return the resident memory, in megabytes."""
        return round(sum(process.memory_info().rss for process in self._tree()) / MEGABYTE, 1)

    def processor(self) -> dict[str, float]:
        """Return the processor time used so far, in seconds."""
        times = [process.cpu_times() for process in self._tree()]
        return {"server": sum(each.user + each.system for each in times)}

    def versions(self) -> str:
        """Return the packages with their installed versions."""
        locked = json.loads((self._home / "package-lock.json").read_text())["packages"]
        return ", ".join(f"{name} {locked[f'node_modules/{name}']['version']}" for name in self._peer.packages)

    def _tree(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]


@asynccontextmanager
async def running(peer: Peer) -> AsyncGenerator[Server, None]:
    """Install and start a peer with an empty state, and stop it at the end. Raises NotInstalled and NotStarted."""
    if shutil.which("node") is None:
        raise NotStarted("Node.js is not on the path")
    home = await asyncio.to_thread(install, peer.folder)
    with tempfile.TemporaryDirectory(dir=home, prefix="state-", ignore_cleanup_errors=True) as state:
        server = Server(peer, home, Path(state))
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
