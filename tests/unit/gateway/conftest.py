"""Fixtures of the gateway's tests."""

import pytest

from opencode_cloud.kit import log


@pytest.fixture(autouse=True)
def named_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics have a namespace, as a deployed function's have."""
    monkeypatch.setattr(log.metrics.provider, "namespace", "Test")
    monkeypatch.setattr(log.metrics.provider, "service", "test")
