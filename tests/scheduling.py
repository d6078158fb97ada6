"""Which tests stay together when pytest-xdist shares them among processes: those of a module, or of a named group.

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
    """Gives each group of tests to one process as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


@cache
def group_of(module: str) -> str:
    """Return the group that a module names; without one, the module is its own group."""
    if module.startswith("tests/infra/"):
        return "syntheses"  # they share the synthesized templates, which take a minute
    found = _GROUP.search((ROOT / module).read_text())
    return found[1] if found else module
