"""The stand-in as a program, for the stack and for tests."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from local.processes import READY_SECONDS, Program, accepts, clean_environment, free_port

DEVELOPMENT_KEY = "sk_test_development"  # a key of the stand-in, which is no secret


class StripeStandIn:
    """A stand-in for Stripe at `url`, on the loopback interface. It keeps everything in memory."""

    def __init__(self, state: Path, root: Path, port: int = 0) -> None:
        """Use `state` for log and record; `root` is the checkout, `port` 0 takes a free one."""
        self.program = Program("stripe", state / "run", state / "logs")
        self._root = root
        self.port = port

    @property
    def url(self) -> str:
        """Origin of the API and of the pages."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            ProgramFailed: It did not start.
        """
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "local.stripe", "--with-parent", "--port", str(self.port)]
        self.program.start(command, clean_environment(), self._root)
        self.program.wait_until(lambda: accepts(self.port), READY_SECONDS)

    def control(self, step: str, key: str = DEVELOPMENT_KEY, **given: Any) -> Any:
        """Do what Stripe does by itself or in its dashboard, for the account of a key; see `control`.

        Raises:
            HTTPError: The stand-in refuses it.
        """
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        body = json.dumps(given).encode()
        request = urllib.request.Request(f"{self.url}/_stand_in/{step}", body, headers)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:  # noqa: S310 - our own
            return json.load(answer)["result"]
