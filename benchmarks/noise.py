"""The share of the machine that other programs used during a measurement, which tells whether a figure is reliable."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def others_share() -> Iterator[list[float]]:
    """Yield a list that holds, after the block, the share of all cores that processes other than ours used in it."""
    found: list[float] = []
    began, busy, own = time.monotonic(), _busy(), _own()
    yield found
    available = (time.monotonic() - began) * (os.cpu_count() or 1)
    # The time of an ended worker is lost, so it counts as time of other programs.
    found.append(round(max(0.0, (_busy() - busy) - (_own() - own)) / available, 2))


def _busy() -> float:
    """Seconds of processor time that the machine has worked, all cores together."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _own() -> float:
    """Seconds of processor time of this process and all that it started."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total + os.times().children_user + os.times().children_system
