"""Cold starts: import times of each function's handler in a new process, compared with a bare interpreter.

Run as a script in a process of its own for each sample: `python -m benchmarks.cold <function>` prints milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.summary import percentile

ROOT = Path(__file__).resolve().parent.parent
Json = dict[str, Any]
_PROGRAM = """
import importlib.util, json, os, resource, sys, time
began = time.perf_counter()
if len(sys.argv) > 1:
    spec = importlib.util.spec_from_file_location("handler", sys.argv[1])
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
took = time.perf_counter() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
if os.path.exists("/proc/self/status"):  # where the other figure may be the parent's
    memory = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"import_ms": took * 1000, "memory_mb": memory, "modules": len(sys.modules)}), file=sys.stderr)
"""


def cold_starts(environments: Mapping[str, Mapping[str, str]], repetitions: int) -> list[Json]:
    """Return the cold start of every function in ``environments`` (name -> its deployed environment variables)."""
    bare = [_start(None, {}) for _ in range(repetitions)]
    rows = [{"function": "bare Python", **_summary(bare)}]
    for name, environment in sorted(environments.items()):
        handler = ROOT / "functions" / name / "handler.py"
        rows.append({"function": name, **_summary([_start(handler, environment) for _ in range(repetitions)])})
    return rows


def _start(handler: Path | None, environment: Mapping[str, str]) -> Json:
    arguments = [sys.executable, "-c", _PROGRAM, *([str(handler)] if handler else [])]
    began = time.perf_counter()
    done = subprocess.run(
        arguments,
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT / "layers" / "core")},
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{handler} could not be imported:\n{done.stderr[-2000:]}")
    return {**json.loads(done.stderr.splitlines()[-1]), "process_ms": took * 1000}


def _summary(samples: list[Json]) -> Json:
    return {
        "import_ms": round(percentile([sample["import_ms"] for sample in samples], 50), 1),
        "process_ms": round(percentile([sample["process_ms"] for sample in samples], 50), 1),
        "memory_mb": round(percentile([sample["memory_mb"] for sample in samples], 50), 1),
        "modules": samples[0]["modules"],
    }
