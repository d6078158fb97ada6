"""One deployed local stage for a test run, also when several processes of pytest-xdist share the tests.

The process that a person started deploys the stage, in the background, once a worker says that some of its tests need
it; meanwhile the workers run the tests that need none. It stops the stage when all workers are done. Workers attach.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.stack import LocalStack, StackBusy
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local" / "test"
STAGE_FILE = ROOT / "tests" / "stage.toml"
TEMPLATE = ROOT / ".local" / "test-template"
RUNTIME = os.environ.get("SYNC_RUNTIME") or "lambda"
"""The runtime of sharing. `make test-slow` runs the tests of sharing with both."""
DEPLOY_SECONDS = 1200.0
"""A deployment takes a minute on two idle cores."""


def start() -> LocalStack:
    """Start a stage without data; deploy only if the sources have changed since the last run."""
    return _start_in(STATE)


def stop(stack: LocalStack) -> None:
    """Stop the stage. Its state is kept for inspection if it has the default folder."""
    stack.stop()
    if stack.state != STATE:
        shutil.rmtree(stack.state)


def _start_in(state: Path) -> LocalStack:
    """Start in ``state``, or in another folder when another test run uses that one."""
    try:
        stack = LocalStack(state, template=TEMPLATE, stage_file=STAGE_FILE, durability="process", sync_runtime=RUNTIME)
        stack.forget()
        stack.start()
    except StackBusy:
        return _start_in(state.with_name(f"{STATE.name}-{os.getpid()}"))
    return stack


class Meeting:
    """The files through which the processes of one run communicate: ``wanted``, then ``ready`` or ``failed``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def want(self) -> None:
        """Ask for the stage. The first request starts it."""
        (self.folder / "wanted").touch()

    def is_wanted(self) -> bool:
        """Tell whether a worker requested the stage."""
        return (self.folder / "wanted").exists()

    def is_over(self) -> bool:
        """Tell whether the stage is ready, or failed: no test waits for it any longer."""
        return bool(self._told("ready") or self._told("failed"))

    def tell(self, name: str, text: str) -> None:
        """Write ``ready`` with the stage's folder, or ``failed`` with the reason."""
        draft = self.folder / f"{name}.draft"
        draft.write_text(text)
        draft.rename(self.folder / name)

    def wait(self) -> LocalStack:
        """Wait for the stage and attach to it."""
        self.want()
        until(self.is_over, DEPLOY_SECONDS)
        failed = self._told("failed")
        assert not failed, f"the stage did not start: {failed}"
        stack = LocalStack(Path(self._told("ready")))
        stack.attach()
        return stack

    def _told(self, name: str) -> str:
        file = self.folder / name
        return file.read_text() if file.exists() else ""


class Keeper:
    """Starts and stops the stage for the workers of a run, in the process that outlives them."""

    def __init__(self) -> None:
        self.meeting = Meeting(Path(tempfile.mkdtemp(prefix="opencode-cloud-run-")))
        self._stack: LocalStack | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="stage", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the stage, if there is one."""
        self._over.set()
        self._thread.join()
        if self._stack is not None:
            stop(self._stack)
        shutil.rmtree(self.meeting.folder)

    def _keep(self) -> None:
        while not self._over.wait(0.2):
            if self.meeting.is_wanted():
                self._start()
                return

    def _start(self) -> None:
        try:
            self._stack = start()
        except Exception as error:  # noqa: BLE001 - whatever it is, the workers' tests fail with it
            self.meeting.tell("failed", f"{type(error).__name__}: {error}")
        else:
            self.meeting.tell("ready", str(self._stack.state))


@contextmanager
def stage_of(config: pytest.Config) -> Iterator[LocalStack]:
    """Yield the stage of this run: the shared one in a worker, else one that ends with the session."""
    meeting = meeting_of(config)
    if meeting:
        yield meeting.wait()
        return
    stack = start()
    yield stack
    stop(stack)


def meeting_of(config: pytest.Config) -> Meeting | None:
    """Return the folder through which a worker requests the stage; None in a process that runs tests alone."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return Meeting(Path(given["stage"])) if "stage" in given else None
