"""The mailbox's client, for the stack and for tests."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.processes import READY_SECONDS, Program, accepts, clean_environment, free_port

WAIT_SECONDS = 60.0


class NoMail(Exception):
    """The expected mail did not arrive. The message describes it."""


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """One received mail."""

    number: int
    """Number of the mail, from 1, in order of arrival."""
    sender: str
    recipients: list[str]
    subject: str
    text: str
    html: str
    received_at: str
    """RFC 3339, UTC."""


class Mailbox:
    """An SMTP server that accepts every mail, and a page at `url` that shows them; both on the loopback interface.

    Mails are kept in memory: they are gone when it stops.
    """

    def __init__(self, state: Path, root: Path) -> None:
        """Use `state` for log and record; `root` is the checkout."""
        self.program = Program("mailbox", state / "run", state / "logs")
        self._root = root
        self.port = 0
        self.smtp_port = 0

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it on free ports, and wait until it answers.

        Raises:
            ProgramFailed: It did not start.
        """
        self.port, self.smtp_port = free_port(), free_port()
        command = [sys.executable, "-m", "local.mailbox", "--with-parent"]
        command += ["--port", str(self.port), "--smtp-port", str(self.smtp_port)]
        self.program.start(command, clean_environment(), self._root)
        self.program.wait_until(lambda: accepts(self.port) and accepts(self.smtp_port), READY_SECONDS)

    def mails(self, after: int = 0) -> list[ReceivedMail]:
        """Return the mails after the one with the number `after`, oldest first."""
        with urllib.request.urlopen(f"{self.url}/mails.json?after={after}", timeout=WAIT_SECONDS) as answer:  # noqa: S310 - our own
            return [ReceivedMail(**each) for each in json.load(answer)]

    def wait(
        self,
        recipient: str,
        *,
        after: int = 0,
        where: Callable[[ReceivedMail], bool] = lambda _: True,
        seconds: float = WAIT_SECONDS,
    ) -> ReceivedMail:
        """Wait for the first mail to `recipient` after number `after` that `where` accepts, and return it.

        Raises:
            NoMail: It did not come in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            for mail in self.mails(after):
                if recipient.lower() in [each.lower() for each in mail.recipients] and where(mail):
                    return mail
            if time.monotonic() > deadline:
                raise NoMail(f"no such mail came to {recipient} within {seconds:g} seconds")
            time.sleep(0.05)
