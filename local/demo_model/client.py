"""The model as a program, for the stack and for tests."""

import sys
from pathlib import Path

from local.demo_model.server import PACE_SECONDS
from local.processes import READY_SECONDS, Program, accepts, clean_environment, free_port, is_free


class DemoModel:
    """The scripted model at `url`, on the loopback interface. It keeps no state."""

    def __init__(self, state: Path, root: Path) -> None:
        """Use `state` for log and record; `root` is the checkout."""
        self.program = Program("demo-model", state / "run", state / "logs")
        self._root = root
        self.port = 0

    @property
    def url(self) -> str:
        """The base URL of its API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self, port: int = 0, pace: float = PACE_SECONDS) -> None:
        """Start it on `port`, or on a free one if that is taken or 0, and wait until it answers.

        Raises:
            ProgramFailed: It did not start.
        """
        self.program.stop_leftover()
        # The catalogue names the port, so it stays the same while it can.
        self.port = port if port and is_free(port) else free_port()
        command = [sys.executable, "-m", "local.demo_model", "--with-parent", "--port", str(self.port)]
        self.program.start([*command, "--pace", str(pace)], clean_environment(), self._root)
        self.program.wait_until(lambda: accepts(self.port), READY_SECONDS)
