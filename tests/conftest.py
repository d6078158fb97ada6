"""What all tests share: one deployed local stage a session, and how hard hypothesis tries."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from local.stack import LocalStack, StackBusy

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".local" / "test"
STAGE_FILE = ROOT / "tests" / "stage.toml"
TEMPLATE = ROOT / ".local" / "test-template"

settings.register_profile("quick", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("quick"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The whole local stage, deployed and reachable at `stack.url`, without data at first.

    Deployed only when its sources have changed since the last session: a session begins with a copy of that state.
    """
    running = _start(KEPT)
    yield running
    running.stop()
    if running.state != KEPT:
        shutil.rmtree(running.state)


def _start(state: Path) -> LocalStack:
    """Start in `state`, or in a folder of our own when another session works there."""
    try:
        stack = LocalStack(state, template=TEMPLATE, stage_file=STAGE_FILE)
        stack.forget()
        stack.start()
    except StackBusy:
        return _start(state.with_name(f"{KEPT.name}-{os.getpid()}"))
    return stack
