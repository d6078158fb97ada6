"""The metrics that code writes, as CloudWatch reads them from its lines."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from opencode_cloud.kit import log

Written = dict[str, list[float]]


@contextmanager
def written_metrics() -> Iterator[Written]:
    """Collect the values that are written in this block. They are there when it ends."""
    log.metrics.flush()
    found: Written = {}
    with patch.object(log.metrics, "stream", io.StringIO()) as lines:
        yield found
        log.metrics.flush()
        for name, values in metrics_of(lines.getvalue()).items():
            found[name] = values


def metrics_of(output: str) -> Written:
    """Return the metrics in what a process has written, by their names."""
    found: Written = {}
    for line in output.splitlines():
        if '"_aws"' not in line:
            continue
        record = json.loads(line)
        for directive in record["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                found.setdefault(metric["Name"], []).extend(record[metric["Name"]])
    return found
