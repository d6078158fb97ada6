"""Fixtures of all unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.aws import Cloud


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Return an empty AWS account in this process."""
    from tests.unit.aws import in_process  # moto takes a second to import, and tests without stores do not need it

    with in_process(monkeypatch) as account:
        yield account
