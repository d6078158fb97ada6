"""The order in which processes take groups of tests."""

from tests.scheduling import apart_from_the_stage


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
