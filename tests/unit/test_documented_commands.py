"""Every block of shell commands in the documents is run by a test, or has a reason why not."""

import pytest

from tests.documented_commands import NOT_RUN, RUN, documented

BLOCKS = list(documented())


@pytest.mark.parametrize("name", [*RUN, *NOT_RUN])
def test_every_known_block_is_one_of_the_documents(name: str) -> None:
    assert [block.text for block in BLOCKS if block.is_named(name)][1:] == []
    assert any(block.is_named(name) for block in BLOCKS), "remove it from tests/documented_commands.py"


def test_every_block_is_known() -> None:
    unknown = [block for block in BLOCKS if not any(block.is_named(name) for name in (*RUN, *NOT_RUN))]
    assert unknown == [], "add them to tests/documented_commands.py"
