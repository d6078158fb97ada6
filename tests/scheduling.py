"""The groups of tests that pytest-xdist keeps in one process: those of a module, or of a named group.

pytest-xdist 3.8 passes the mark `xdist_group` on in the node id, which pytest 9.2 no longer lets it change. So groups
are read from the modules here. Remove this module when a later pytest-xdist follows marks again.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
_GROUP = re.compile(r'xdist_group\("(\w+)"\)')


class GroupScheduling(LoadScopeScheduling):
    """A schedule that gives each whole group of tests to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


@cache
def group_of(module: str) -> str:
    """Return the group that a module names. Without a name, the module is its own group."""
    if module.startswith("tests/infra/"):
        return "syntheses"  # these tests share the synthesized templates, which take a minute
    found = _GROUP.search((ROOT / module).read_text())
    return found[1] if found else module
