"""Structured logs and metrics. Log records must not contain a session id, secret, token, key or content."""

from __future__ import annotations

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()


def count(name: str, value: float = 1) -> None:
    """Add ``value`` to the counter ``name`` of this invocation (written as one EMF record at its end)."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def size(name: str, value: float) -> None:
    """Add a number of bytes to the metric ``name``."""
    metrics.add_metric(name=name, unit=MetricUnit.Bytes, value=value)


def duration(name: str, milliseconds: float) -> None:
    """Add a duration in milliseconds to the metric ``name``."""
    metrics.add_metric(name=name, unit=MetricUnit.Milliseconds, value=milliseconds)
