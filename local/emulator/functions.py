"""Make MiniStack's function workers start quickly, and limit their number, for machines with two cores.

As shipped, every new worker unpacks all layers again and compiles them from source (3 s of processor time), a burst of
requests starts a worker for each, and a call waits 5 ms after the first line that a handler logs. Functions have more
time than on AWS (`local/patience.py`).
"""

import hashlib
import logging
import os
import queue
import threading
import zipfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from local.patience import FACTOR

logger = logging.getLogger("local.functions")

FIRST_LINE_SECONDS = 0.001
"""Seconds that a call waits for the handler's log lines after its answer."""

NEXT_LINE_SECONDS = 0.0003


def install(cache: Path, workers_per_function: int) -> None:
    """Hook into MiniStack: archives are unpacked once into `cache`, and a function has so many workers at most."""
    cache.mkdir(parents=True, exist_ok=True)
    runtime: Any = import_module("ministack.core.lambda_runtime")
    service: Any = import_module("ministack.services.lambda_svc")
    runtime.zipfile = ZipfileWithCache(cache)
    runtime.Worker._drain_stderr_bounded = read_log
    pool = WorkerPool(runtime.acquire_worker, runtime.release_worker, workers_per_function)
    for module in (runtime, service):
        module.acquire_worker = pool.acquire
        module.release_worker = pool.release


class WorkerPool:
    """A limit that makes a call wait for a worker where MiniStack would start another one.

    Calls have threads of their own, and none of our functions waits for a call to itself, so waiting is no deadlock.
    """

    def __init__(self, acquire: Any, release: Any, limit: int) -> None:
        self._acquire = acquire
        self._release = release
        self._limit = limit
        self._released = threading.Condition()

    def acquire(self, name: str, config: Mapping[str, Any], *code: Any, **options: Any) -> tuple[Any, str]:
        """Lease a worker. Wait for a free one if the function has its maximum number."""
        options["max_concurrency"] = self._limit
        config = {**config, "Timeout": FACTOR * config["Timeout"]}
        with self._released:
            while True:
                worker, reason = self._acquire(name, config, *code, **options)
                if worker is not None:
                    return worker, reason
                self._released.wait()

    def release(self, worker: Any) -> None:
        """Release a worker, and wake waiting calls."""
        with self._released:
            self._release(worker)
            self._released.notify_all()


class ZipfileWithCache:
    """A stand-in for the module `zipfile`, which links archives that were unpacked before."""

    BadZipFile = zipfile.BadZipFile

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def ZipFile(self, path: str) -> "CachedArchive":  # noqa: N802 - stands in for zipfile.ZipFile
        """Open an archive of a function's or layer's code."""
        return CachedArchive(Path(path), self._cache)


class CachedArchive:
    """One archive, unpacked into the cache under the digest of its content.

    Python keeps what it compiles beside the sources there, so that the next worker needs not compile again.
    """

    _lock = threading.Lock()

    def __init__(self, path: Path, cache: Path) -> None:
        self._path = path
        self._folder = cache / hashlib.sha256(path.read_bytes()).hexdigest()

    def __enter__(self) -> "CachedArchive":
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""

    def namelist(self) -> list[str]:
        """Return the names that MiniStack must check: all names of a new archive, none of an unpacked one."""
        if self._folder.exists():
            return []
        with zipfile.ZipFile(self._path) as archive:
            return archive.namelist()

    def extractall(self, target: str) -> None:
        """Fill the folder `target`."""
        with self._lock:
            if not self._folder.exists():
                self._unpack()
        for entry in self._folder.iterdir():
            Path(target, entry.name).symlink_to(entry)

    def _unpack(self) -> None:
        draft = self._folder.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(self._path) as archive:
            archive.extractall(draft)
        draft.rename(self._folder)


def read_log(worker: Any, *_: float, **__: float) -> str:
    """Return the lines that a worker has logged. Late lines come with its next call."""
    lines: list[str] = []
    wait = FIRST_LINE_SECONDS
    while True:
        try:
            lines.append(worker._stderr_queue.get(timeout=wait))
        except queue.Empty:
            return "\n".join(lines)
        wait = NEXT_LINE_SECONDS
