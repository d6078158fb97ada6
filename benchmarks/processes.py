"""Memory and processor time of processes, and servers that run in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1024 * 1024


@contextmanager
def server(module: str, *arguments: object) -> Iterator[str]:
    """Run a module as a process of its own; yield the URL, which is the first line of its output."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            if process.stdout is None:
                raise RuntimeError(f"{module} has no output")
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def tree_seconds(pid: int) -> float:
    """Return the processor time of a process and its children so far, in seconds."""
    return sum(map(_seconds, _tree(pid)))


def resident(emulator: int, front_door: int, hub: int) -> dict[str, float]:
    """Return megabytes of the emulator, of the function workers it started, of the front door and of the hub.

    The arguments are process ids. ``hub`` is 0 where sharing runs in functions.
    """
    workers = psutil.Process(emulator).children(recursive=True)
    sizes = [_resident(worker) for worker in workers]
    return {
        "emulator": _resident(psutil.Process(emulator)),
        "workers": sum(size > 0 for size in sizes),
        "function workers": round(sum(sizes), 1),
        "front door": _resident(psutil.Process(front_door)),
        **({"hub": sum(map(_resident, _tree(hub)))} if hub else {}),
    }


def processor_seconds(emulator: int, front_door: int, hub: int) -> dict[str, float]:
    """Return their processor time so far, in seconds. Only running workers count."""
    workers = psutil.Process(emulator).children(recursive=True)
    return {
        "emulator": _seconds(psutil.Process(emulator)),
        "functions": sum(map(_seconds, workers)),
        "front door": _seconds(psutil.Process(front_door)),
        **({"hub": sum(map(_seconds, _tree(hub)))} if hub else {}),
    }


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _resident(process: psutil.Process) -> float:
    try:
        return round(process.memory_info().rss / MEGABYTE, 1)
    except psutil.NoSuchProcess:  # a worker that has stopped
        return 0.0
