"""The terminal: sentences, questions and choices."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from opencode_cloud_connect.errors import ConnectError, Declined


@dataclass
class Terminal:
    """Where the command speaks and reads. Without a person, a question takes its default or fails."""

    out: TextIO
    source: TextIO
    yes: bool = False
    """True: agree to every change."""

    @property
    def interactive(self) -> bool:
        """Tell whether a person can answer."""
        return self.source.isatty() and not self.yes

    def say(self, text: str) -> None:
        """Print a sentence."""
        print(text, file=self.out, flush=True)

    def confirm(self, question: str) -> None:
        """Ask for agreement. Raises :class:`Declined`, also where there is no person to ask."""
        if self.yes:
            return
        if not self.source.isatty():
            raise Declined("Nothing was changed: there is no terminal to ask at. Agree with --yes.")
        self.out.write(f"{question} [y/N] ")
        self.out.flush()
        if self.source.readline().strip().lower() not in ("y", "yes"):
            raise Declined("Nothing was changed.")

    def choose(self, question: str, labels: Sequence[str]) -> int:
        """Ask for one of ``labels``; return its index."""
        for number, label in enumerate(labels, 1):
            self.say(f"  {number}  {label}")
        for _ in range(3):
            self.out.write(f"{question} [1-{len(labels)}] ")
            self.out.flush()
            typed = self.source.readline().strip()
            if typed.isdecimal() and 0 < int(typed) <= len(labels):
                return int(typed) - 1
        raise ConnectError("nothing_chosen", "Nothing was chosen.")


def standard(*, yes: bool) -> Terminal:
    """Return the terminal of this process."""
    return Terminal(sys.stdout, sys.stdin, yes)
