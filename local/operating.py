"""Run the operators' command on the stage that `make dev` runs, with the right endpoint and credentials."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local.stack import LocalStack


class NotRunning(Exception):
    """No stage runs in the state folder. The message says what to do."""


def run_command(root: Path, state: Path, arguments: Sequence[str]) -> None:
    """Replace this process by the operators' command on the running stage; see docs/operate.md.

    Raises:
        NotRunning: No stage was started in `state`.
    """
    if not (state / "ports.json").exists():
        raise NotRunning("No stage runs on this machine. Start it first: make dev")
    stack = LocalStack(state, root=root)
    stack.attach()
    environment = {**stack.deployment.environment, "PYTHONPATH": str(root / "layers" / "core")}
    command = [sys.executable, "-m", "opencode_cloud", "--stage", "local", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own program
