"""Structured logs and metrics. Log records must not contain a session id, secret, token, key or content."""

from __future__ import annotations

import threading

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()
_lock = threading.Lock()  # a process with many threads writes metrics of all of them


def count(name: str, value: float = 1) -> None:
    """Add ``value`` to the counter ``name`` of this invocation (written as one EMF record at its end)."""
    _add(name, MetricUnit.Count, value)


def size(name: str, value: float) -> None:
    """Add a number of bytes to the metric ``name``."""
    _add(name, MetricUnit.Bytes, value)


def duration(name: str, milliseconds: float) -> None:
    """Add a duration in milliseconds to the metric ``name``."""
    _add(name, MetricUnit.Milliseconds, milliseconds)


def flush() -> None:
    """Write the metrics since the last time, in a process that has no invocations."""
    with _lock:
        if metrics.metric_set:
            metrics.flush_metrics()


def _add(name: str, unit: MetricUnit, value: float) -> None:
    with _lock:
        metrics.add_metric(name=name, unit=unit, value=value)
