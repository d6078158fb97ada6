"""Daily jobs, which delete data whose retention is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opencode_cloud.kit.log import logger

MOST_IN_A_ROW = 5
"""Items that fail one after another before a job gives up. Each may take a timeout of half a minute."""


class HousekeepingFailed(Exception):
    """Some jobs failed; the message names them. The others have finished."""


class ItemsFailed(Exception):
    """Some items of a job failed; the message names the first of them."""


class ItemRuns:
    """Runs a job item by item, so that one that fails holds up no other.

    The cause of many failures in a row is usually a service that all items need, so the items after them are skipped.
    """

    def __init__(self) -> None:
        self.total = 0
        """The sum of the results."""
        self._failed: list[str] = []
        self._in_a_row = 0

    def run(self, item: str, work: Callable[[], int]) -> None:
        """Run ``work`` for an item, and add its result to the total. A failure is logged, and :meth:`check` raises it.

        Nothing is run after `MOST_IN_A_ROW` failures in a row.
        """
        if self._in_a_row >= MOST_IN_A_ROW:
            return
        try:
            self.total += work()
        except Exception:  # noqa: BLE001 - the other items must still run
            logger.exception("an item of a daily job failed", extra={"item": item})
            self._failed.append(item)
            self._in_a_row += 1
        else:
            self._in_a_row = 0

    def check(self) -> None:
        """Raise :class:`ItemsFailed` if an item failed. Callers write their metrics before."""
        if self._failed:
            raise ItemsFailed(f"{len(self._failed)} failed, the first of them {self._failed[0]}")


class Housekeeping:
    """Runs jobs, each of which returns the number of processed things."""

    def __init__(self, jobs: Mapping[str, Callable[[], int]]) -> None:
        self._jobs = jobs

    def run(self) -> dict[str, Any]:
        """Run every job, even after one has failed.

        Raises:
            HousekeepingFailed: A job failed. The error makes Lambda retry the invocation; every job may run again.
        """
        done: dict[str, Any] = {}
        failed: list[str] = []
        for name, job in self._jobs.items():
            try:
                done[name] = job()
            except Exception:  # noqa: BLE001 - the other jobs must still run
                logger.exception("a daily job failed", extra={"job": name})
                failed.append(name)
        logger.info("housekeeping", extra={"done": done})
        if failed:
            raise HousekeepingFailed(f"failed: {', '.join(failed)}")
        return done
