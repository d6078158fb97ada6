"""The groups of tests that pytest-xdist keeps in one process: those of a module, or of a named group.

pytest-xdist 3.8 passes the mark `xdist_group` on in the node id, which pytest 9.2 no longer lets it change. So groups
are read from the modules here. Remove this module when a later pytest-xdist follows marks again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
_GROUP = re.compile(r'xdist_group\("(\w+)"\)')


_ON_THE_STAGE = ("tests/integration/", "tests/e2e/")
"""Folders of tests that wait for the deployed stage."""


class GroupScheduling(LoadScopeScheduling):
    """A schedule that gives each whole group of tests to one process, and first those that need not wait."""

    def __init__(self, config: Any, log: Any, stage_is_up: Callable[[], bool]) -> None:
        super().__init__(config, log)
        self._stage_is_up = stage_is_up

    def _assign_work_unit(self, node: Any) -> None:
        if not self._stage_is_up() and (scope := apart_from_the_stage(self.workqueue)):
            self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


def apart_from_the_stage(queue: Mapping[str, Iterable[str]]) -> str | None:
    """Return the first group in `queue` (its tests by group) that needs no stage; None: all of them do."""
    return next((group for group, tests in queue.items() if not next(iter(tests)).startswith(_ON_THE_STAGE)), None)


@cache
def group_of(module: str) -> str:
    """Return the group that a module names. Without a name, the module is its own group."""
    if module.startswith("tests/infra/"):
        return "syntheses"  # these tests share the synthesized templates, which take a minute
    found = _GROUP.search((ROOT / module).read_text())
    return found[1] if found else module
