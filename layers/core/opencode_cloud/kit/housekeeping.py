"""Daily jobs, which delete data whose retention is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opencode_cloud.kit.log import logger


class HousekeepingFailed(Exception):
    """Some jobs failed; the message names them. The others have finished."""


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
