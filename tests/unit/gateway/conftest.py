"""Fixtures of the gateway's tests."""

import pytest

from opencode_cloud.kit import log


@pytest.fixture(autouse=True)
def named_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the namespace of metrics, as a deployed function does."""
    monkeypatch.setattr(log.metrics.provider, "namespace", "Test")
    monkeypatch.setattr(log.metrics.provider, "service", "test")
