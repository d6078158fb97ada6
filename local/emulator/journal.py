"""A write-ahead journal: numbered segments of checksummed records, synced in groups by a thread of its own.

A record is in the operating system's hands when `append` returns, so a SIGKILL of this process cannot lose it. With
the durability `disk`, it is on the disk when the future that `append` gave is done, so a power cut cannot either. With
`process`, it is on the disk about a second later.
"""

import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Literal

HEADER = struct.Struct(">II")
"""Length and CRC-32 of the record that follows."""

SUFFIX = ".journal"
Durability = Literal["disk", "process"]
"""The event that an acknowledged record survives: a power cut, or only the end of this process."""
SYNC_SECONDS = 1.0
"""Seconds between syncs with the durability `process`."""


class DamagedJournal(Exception):
    """A segment before the last one ends in the middle of a record, which a crash cannot cause."""


class Journal:
    """Appends records to the newest segment of a folder.

    A state saved elsewhere belongs to a segment number: it holds all records of earlier segments and none of that one
    and later ones. See `begin_segment`.
    """

    def __init__(self, folder: Path, durability: Durability = "disk") -> None:
        self._at_once = durability == "process"
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._number = max(segments(folder), default=0)
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._waiting: list[Future[None]] = []
        self._file = -1
        self._size = 0
        self.begin_segment()
        threading.Thread(target=self._sync_forever, name="journal-sync", daemon=True).start()

    @property
    def size(self) -> int:
        """Bytes in the newest segment."""
        return self._size

    def append(self, record: bytes) -> Future[None]:
        """Write a record. The future is done when the record is as durable as this journal promises.

        Raises OSError when it cannot be written (the disk is full): nothing must be acknowledged then.
        """
        durable: Future[None] = Future()
        framed = HEADER.pack(len(record), zlib.crc32(record)) + record
        with self._work:
            self._write(framed)
            self._waiting.append(durable)
            self._work.notify()
        if self._at_once:
            durable = Future()
            durable.set_result(None)
        return durable

    def begin_segment(self) -> int:
        """Start a new segment and return its number. The caller's state then contains all earlier segments."""
        with self._lock:
            number = self._number + 1
            file = os.open(self._folder / f"{number:08d}{SUFFIX}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            if self._file >= 0:
                os.fdatasync(self._file)
                os.close(self._file)
            self._file, self._number, self._size = file, number, 0
        sync_folder(self._folder)
        return number

    def discard_before(self, number: int) -> None:
        """Delete the segments below `number`. The state that replaces them must be on the disk."""
        for old, path in segments(self._folder).items():
            if old < number:
                path.unlink()

    def _write(self, framed: bytes) -> None:
        start = self._size
        view = memoryview(framed)
        try:
            while view:
                written = os.write(self._file, view)
                self._size += written
                view = view[written:]
        except OSError:
            # Half a record in the middle would hide all later records.
            os.ftruncate(self._file, start)
            os.lseek(self._file, start, os.SEEK_SET)
            self._size = start
            raise

    def _sync_forever(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting)
                group, self._waiting = self._waiting, []
                # A duplicate stays open when a new segment begins meanwhile.
                file = os.dup(self._file)
            try:
                os.fdatasync(file)
            except OSError as error:
                for durable in group:
                    durable.set_exception(error)
            else:
                for durable in group:
                    durable.set_result(None)
            finally:
                os.close(file)
            if self._at_once:
                time.sleep(SYNC_SECONDS)


def segments(folder: Path) -> dict[int, Path]:
    """Return the segments of a folder by number, oldest first."""
    return {int(path.stem): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def records(folder: Path, first_segment: int) -> Iterator[bytes]:
    """Yield all whole records from `first_segment` on, in the order they were appended.

    A crash may cut the last record of a segment short: it was never acknowledged, and is left out.

    Raises:
        DamagedJournal: A record inside a segment is not what was written.
    """
    for number, path in segments(folder).items():
        if number >= first_segment:
            yield from _records(path)


def _records(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    start = 0
    while start + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, start)
        end = start + HEADER.size + length
        if end > len(data):
            return
        record = data[start + HEADER.size : end]
        if zlib.crc32(record) != checksum:
            if end == len(data):
                return
            raise DamagedJournal(f"{path} is damaged at byte {start} of {len(data)}")
        yield record
        start = end


def sync_folder(folder: Path) -> None:
    """Make names created, replaced or removed in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
