"""Memory and processor time of the local stage's processes."""

from __future__ import annotations

import psutil

MEGABYTE = 1024 * 1024


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
