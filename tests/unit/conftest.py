"""What unit tests of all features share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.aws import Cloud


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty AWS account in this process."""
    from tests.unit.aws import in_process  # moto takes a second to import, which tests without stores do not pay

    with in_process(monkeypatch) as account:
        yield account
