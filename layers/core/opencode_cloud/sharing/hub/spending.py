"""Limits of shares without an owner, counted in memory and written about once a second.

Counting each publication in the store would cost it a round trip. So limits are exact to about a second. A crash
forgets as much.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor

import msgspec

from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.kit.rate_counters import Expense, Totals

WRITE_SECONDS = 1.0
SUBJECTS = 20_000
"""Subjects that are remembered. The oldest is forgotten first, and is read from the store when it comes again."""

Spend = Callable[[str, int, Mapping[str, int]], Totals]
"""Adds amounts to the sums of a subject in the store, and returns the sums."""


class _Sums(msgspec.Struct):
    """The sums of one window: those of the store, as of the last write, and what was added since then."""

    window: int
    stored: dict[str, int]
    added: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    written_at: float = 0.0
    writing: bool = False

    def add(self, name: str, amount: int) -> int:
        self.added[name] = added = self.added.get(name, 0) + amount
        return self.stored.get(name, 0) + added


class Spending:
    """Sums that many threads add to."""

    def __init__(self, spend: Spend, threads: Executor) -> None:
        """``spend`` blocks. It runs on ``threads``, except for a subject that this process has not seen before."""
        self._spend = spend
        self._threads = threads
        self._lock = threading.Lock()
        self._sums: OrderedDict[str, _Sums] = OrderedDict()

    def add_all(self, expenses: Sequence[Expense]) -> Sequence[Totals]:
        """Do as :meth:`add` for each of ``expenses``; in parallel where one has to be read from the store."""
        if all(subject in self._sums for subject, _, _ in expenses):
            return [self.add(*expense) for expense in expenses]
        return parallel_map(lambda expense: self.add(*expense), expenses)

    def add(self, subject: str, seconds: int, amounts: Mapping[str, int]) -> Totals:
        """Add ``amounts`` to the sums of ``subject`` in the present window of ``seconds``; return the sums."""
        window, passed = divmod(now_seconds(), seconds)
        with self._lock:
            sums = self._present(subject, window)
            if sums is not None:
                totals = Totals({name: sums.add(name, amount) for name, amount in amounts.items()}, seconds - passed)
                if not sums.writing and time.monotonic() - sums.written_at > WRITE_SECONDS:
                    sums.writing = True
                    self._threads.submit(self._write, subject, seconds, sums)
                return totals
        totals = self._spend(subject, seconds, amounts)
        with self._lock:
            self._sums[subject] = _Sums(window, dict(totals.amounts), written_at=time.monotonic())
            if len(self._sums) > SUBJECTS:
                self._sums.popitem(last=False)
        return totals

    def _present(self, subject: str, window: int) -> _Sums | None:
        sums = self._sums.get(subject)
        if sums is not None and sums.window != window:
            # A window that begins has no sums yet, except those that others have just added.
            sums = self._sums[subject] = _Sums(window, {})
        return sums

    def _write(self, subject: str, seconds: int, sums: _Sums) -> None:
        with self._lock:
            amounts, sums.added = sums.added, {}
            for name, amount in amounts.items():
                sums.stored[name] = sums.stored.get(name, 0) + amount
        try:
            totals = self._spend(subject, seconds, amounts) if amounts else None
        except Exception:  # noqa: BLE001 - the next write tries again
            logger.exception("amounts could not be counted")
            totals = None
        with self._lock:
            sums.stored |= totals.amounts if totals else {}
            sums.written_at, sums.writing = time.monotonic(), False
