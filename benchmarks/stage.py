"""The stage of the benchmark: its own local stage, or a running one; and the floor beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.processes import children, processor_seconds, resident
from infra.routes import ORIGIN_HEADER, VIEWER_HEADER
from local.hub import CONTAINER
from local.stack import LocalStack

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local" / "benchmark"
"""State folder of the benchmark's own stage. `make clean-local` deletes it too."""
SETTINGS = ROOT / "benchmarks" / "stage.toml"
Durability = Literal["disk", "process"]
"""The event that an acknowledged write survives: a power cut, or only a killed process."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub as the CDN reaches it."""

    url: str
    headers: dict[str, str]
    """Headers by which it believes that the CDN forwards a request."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployed local stage."""

    url: str
    """URL of the front door."""
    credentials: dict[str, str]
    """Environment variables that point boto3 to the emulator, as root."""
    memory: Callable[[], dict[str, float]]
    processor: Callable[[], dict[str, float]]
    """Processor time used so far, in seconds."""
    gateway_url: str
    """URL of the gateway itself, behind the front door."""
    gateway_pids: Callable[[], list[int]]
    durability: Durability
    hub: Hub | None
    """The hub itself, behind the front door; None if functions serve sharing."""


@contextmanager
def stage(report: Callable[[str], None], durability: Durability, runtime: str) -> Iterator[Stage]:
    """Start the benchmark's own stage, warm from the second time on, and stop it at the end.

    ``runtime`` serves sharing: ``lambda``, or ``container`` for a hub.
    """
    wanted = LocalStack(
        STATE, root=ROOT, stage_file=SETTINGS, durability=durability, sync_runtime=runtime, report=report
    )
    with wanted as stack:
        settings = stack.client_settings()
        credentials = {
            "AWS_ENDPOINT_URL": settings["endpoint_url"],
            "AWS_ACCESS_KEY_ID": settings["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": settings["aws_secret_access_key"],
            "AWS_REGION": settings["region_name"],
            "AWS_DEFAULT_REGION": settings["region_name"],
        }
        processes = (stack.emulator.pid or 0, stack.front_door.pid or 0, stack.hub.program.pid or 0)
        yield Stage(
            stack.url,
            credentials,
            memory=lambda: resident(*processes),
            processor=lambda: processor_seconds(*processes),
            gateway_url=stack.gateway.url,
            gateway_pids=lambda: children(stack.gateway.program.pid or 0),
            durability=durability,
            hub=_hub(stack) if runtime == CONTAINER else None,
        )


def _hub(stack: LocalStack) -> Hub:
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.outputs["OriginSecretArn"])
    return Hub(stack.hub.url, {ORIGIN_HEADER: secret["SecretString"], VIEWER_HEADER: "127.0.0.1"})


@contextmanager
def floor() -> Iterator[str]:
    """Run the floor in a separate process and yield its URL."""
    command = [sys.executable, "-m", "benchmarks.floor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("the floor has no output")
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()
