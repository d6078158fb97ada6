"""What is done once a day: what has been kept long enough is deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opencode_cloud.kit.log import logger


class HousekeepingFailed(Exception):
    """Some jobs failed; the message names them. The others were done."""


class Housekeeping:
    """Runs jobs, each of which says how many things it dealt with."""

    def __init__(self, jobs: Mapping[str, Callable[[], int]]) -> None:
        self._jobs = jobs

    def run(self) -> dict[str, Any]:
        """Run every job, also after one that failed.

        Raises:
            HousekeepingFailed: so that the invocation is repeated; every job can be.
        """
        done: dict[str, Any] = {}
        failed: list[str] = []
        for name, job in self._jobs.items():
            try:
                done[name] = job()
            except Exception:  # noqa: BLE001 - the other jobs are to be done all the same
                logger.exception("a daily job failed", extra={"job": name})
                failed.append(name)
        logger.info("housekeeping", extra={"done": done})
        if failed:
            raise HousekeepingFailed(f"failed: {', '.join(failed)}")
        return done
