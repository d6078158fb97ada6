"""LiteLLM's proxy in a separate environment (`.tools/litellm`), started as documented, without a database."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.processes import MEGABYTE
from local import setup
from local.processes import free_port

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".tools" / "litellm"
LOCK = ROOT / "requirements" / "litellm.txt"
MASTER_KEY = "sk-benchmark"
START_SECONDS = 120.0
MODEL = "scripted"
_IMPORT = """
import time
began = time.perf_counter()
import litellm.proxy.proxy_server
print((time.perf_counter() - began) * 1000)
"""


@dataclass(frozen=True)
class Proxy:
    """The running proxy."""

    url: str
    pid: int
    version: str
    start_ms: float
    """Time from the start of the process to its first answer."""
    idle_mb: float
    """Resident memory before the first model call."""


def build() -> None:
    """Install the packages of the lock into the environment. This is quick if they are installed."""
    if setup.is_current(ENVIRONMENT, [LOCK]):
        return
    setup.create_environment(ENVIRONMENT, "--without-pip")
    setup.sync(ENVIRONMENT, LOCK)
    setup.mark_current(ENVIRONMENT, [LOCK])


def version() -> str:
    """Return the version that is locked."""
    lines = (line for line in LOCK.read_text().splitlines() if line.startswith("litellm=="))
    return next(lines).removeprefix("litellm==").strip(" \\")


def import_ms() -> float:
    """Return the time in which a new process imports the proxy."""
    command = [str(ENVIRONMENT / "bin" / "python"), "-c", _IMPORT]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


@contextmanager
def proxy(upstream: str, folder: Path, *, workers: int = 1) -> Iterator[Proxy]:
    """Run the proxy before the OpenAI-compatible server at ``upstream``: one master key, no telemetry."""
    config = folder / "litellm.yaml"
    parameters = {"model": f"openai/{MODEL}", "api_base": upstream, "api_key": "upstream-key"}
    document = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "general_settings": {"master_key": MASTER_KEY},
        "litellm_settings": {"num_retries": 0},
    }
    config.write_text(json.dumps(document))  # JSON is YAML
    began = time.monotonic()
    with serving(config, folder, workers=workers) as (url, process):
        took = (time.monotonic() - began) * 1000
        resident = psutil.Process(process.pid).memory_info().rss / MEGABYTE
        yield Proxy(url, process.pid, version(), round(took, 1), round(resident, 1))


@contextmanager
def serving(
    config: Path, folder: Path, number: int = 0, *, workers: int = 1
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run workers with a configuration; yield their URL and process. ``number`` tells their log from others."""
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", port, "--num_workers", workers)
    command = [ENVIRONMENT / "bin" / "litellm", "--config", config, *where]
    with (folder / f"litellm-{number}.log").open("wb") as log:
        process = subprocess.Popen(
            [*map(str, command), "--telemetry", "False"], cwd=folder, env=_environment(), stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url)
        yield url, process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Only our PATH; prices from the package instead of the internet; settings for production."""
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
    return {"PATH": os.environ["PATH"], "HOME": "/tmp", "NO_PROXY": "127.0.0.1", **settings}  # noqa: S108 - unused


def _wait(process: subprocess.Popen[Any], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health/liveliness", timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError("LiteLLM's proxy did not start")
