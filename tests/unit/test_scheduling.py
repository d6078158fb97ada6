"""The order in which processes take groups of tests, and the groups that must not run beside each other."""

import re
from pathlib import Path

import pytest

from tests.scheduling import apart_from_the_stage, group_of

ROOT = Path(__file__).resolve().parents[2]
CALLS = re.compile(r"/zen/v1/(?:models|chat|messages|responses|health)|public_steps\(stack|upstreams\.world import")
"""A call of the stage's gateway, which tests of the group `gateway` restart."""
MODULES = [
    str(path.relative_to(ROOT))
    for folder in ("integration", "e2e", "agents")
    for path in sorted((ROOT / "tests" / folder).glob("test_*.py"))
    if CALLS.search(path.read_text())
]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_calls_the_gateway_is_in_the_group_that_restarts_it(module: str) -> None:
    assert group_of(module) == "gateway"


def test_modules_that_call_the_gateway_are_found() -> None:
    assert {"tests/integration/test_smoke.py", "tests/integration/test_connect.py"} <= set(MODULES)


def test_groups_that_need_no_stage_precede_it_in_their_order() -> None:
    queue = {
        "gateway": ["tests/integration/test_gateway_chaos.py::test_a"],
        "tests/unit/test_a.py": ["tests/unit/test_a.py::test_a"],
        "client": ["tests/e2e/test_share.py::test_a"],
        "tests/local/test_a.py": ["tests/local/test_a.py::test_a"],
    }
    assert apart_from_the_stage(queue) == "tests/unit/test_a.py"
    del queue["tests/unit/test_a.py"]
    assert apart_from_the_stage(queue) == "tests/local/test_a.py"
    del queue["tests/local/test_a.py"]
    assert apart_from_the_stage(queue) is None
