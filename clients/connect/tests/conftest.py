from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_cloud import FakeCloud, serving
from machines import Machine


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with serving() as made:
        yield made


@pytest.fixture
def machine(tmp_path: Path, cloud: FakeCloud) -> Machine:
    return Machine(tmp_path, cloud)
