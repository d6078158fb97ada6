"""Structured logs and metrics. Log records must not contain a session id, secret, token, key or content.

A log record is one line of JSON with the keys that Powertools' logger writes. Metrics are one line in the embedded
metric format of CloudWatch (EMF), from which CloudWatch reads them without a call. Powertools would take 40 ms of each
cold start for both (docs/decisions/028-aws-without-botocore.md).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec

Unit = Literal["Count", "Bytes", "Milliseconds"]
MOST_VALUES = 100
"""EMF: metrics in one record, and values of one metric."""
_correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
_STANDARD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


class _JsonLines(logging.Handler):
    """Writes each record as one line of JSON to standard output, or to ``stream``."""

    def __init__(self) -> None:
        super().__init__()
        self.stream: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``."""
        try:
            _write(self.stream, self._line(record))
        except (OSError, ValueError, TypeError):
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "service": _service(),
        }
        if correlation_id := _correlation_id.get():
            document["correlation_id"] = correlation_id
        document |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[0]:
            document["exception"] = logging.Formatter().formatException(record.exc_info)
            document["exception_name"] = record.exc_info[0].__name__
        return msgspec.json.encode(document, enc_hook=str).decode()


class StructuredLogger(logging.Logger):
    """A logger whose records carry the correlation id of the request that this thread or task serves."""

    registered_handler: _JsonLines

    def set_correlation_id(self, correlation_id: str) -> None:
        """Set the id for all further records of this thread or task, and of the calls that it begins in parallel."""
        _correlation_id.set(correlation_id)

    def get_correlation_id(self) -> str:
        """Return the id; empty without one."""
        return _correlation_id.get()


class Metrics:
    """Collects values of metrics until they are flushed to standard output, or to ``stream``; for any threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[Unit, list[float]]] = {}
        self.stream: TextIO | None = None

    def add(self, name: str, unit: Unit, value: float) -> None:
        """Add a value."""
        with self._lock:
            _, values = self._values.setdefault(name, (unit, []))
            values.append(value)
            full = len(values) >= MOST_VALUES or len(self._values) >= MOST_VALUES
        if full:
            self.flush()

    def flush(self) -> None:
        """Write the collected values as one EMF record, if there are any."""
        with self._lock:
            collected, self._values = self._values, {}
        if not collected:
            return
        directive = {
            "Namespace": os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "none"),
            "Dimensions": [["service"]],
            "Metrics": [{"Name": name, "Unit": unit} for name, (unit, _) in collected.items()],
        }
        document = {
            "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
            "service": _service(),
            **{name: values for name, (_, values) in collected.items()},
        }
        _write(self.stream, msgspec.json.encode(document).decode())


def count(name: str, value: float = 1) -> None:
    """Add ``value`` to the counter ``name`` of this invocation (written as one EMF record at its end)."""
    metrics.add(name, "Count", value)


def size(name: str, value: float) -> None:
    """Add a number of bytes to the metric ``name``."""
    metrics.add(name, "Bytes", value)


def duration(name: str, milliseconds: float) -> None:
    """Add a duration in milliseconds to the metric ``name``."""
    metrics.add(name, "Milliseconds", milliseconds)


def _write(stream: TextIO | None, line: str) -> None:
    """Write a whole line at once, so that lines of several threads do not mix."""
    out: TextIO = stream or sys.stdout
    out.write(line + "\n")
    out.flush()


def _service() -> str:
    return os.environ.get("POWERTOOLS_SERVICE_NAME", "none")


def _structured_logger() -> StructuredLogger:
    made = StructuredLogger("opencode_cloud", os.environ.get("LOG_LEVEL", "INFO").upper())
    made.registered_handler = _JsonLines()
    made.addHandler(made.registered_handler)
    return made


logger = _structured_logger()
metrics = Metrics()
