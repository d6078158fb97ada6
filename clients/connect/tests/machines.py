"""A machine on which the command runs."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from fake_cloud import FakeCloud

from opencode_cloud_connect.access import Wishes
from opencode_cloud_connect.agents import AGENTS, Places
from opencode_cloud_connect.connecting import Connector
from opencode_cloud_connect.terminal import Terminal

INTERRUPT = "\x03\n"


class Typist(io.StringIO):
    """A terminal at which a person types these lines. `INTERRUPT` is Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int = -1, /) -> str:
        line = super().readline(size)
        if line == INTERRUPT:
            raise KeyboardInterrupt
        return line


@dataclass
class Machine:
    """A home folder, and the command run in it."""

    home: Path
    cloud: FakeCloud
    environment: dict[str, str] = field(default_factory=dict[str, str])
    said: str = ""
    slept: list[float] = field(default_factory=list[float])

    def connect(self, agent: str, typed: str | None = None, **wishes: str | bool) -> str:
        """Connect an agent; return the output. `typed` are a person's lines, else the command agrees to all."""
        with_host = Wishes(**{"host": self.cloud.url, **wishes})  # pyright: ignore[reportArgumentType]
        return self._run(with_host, typed, lambda connector: connector.connect(AGENTS[agent]))

    def disconnect(self, agent: str, typed: str | None = None, *, revoke: bool = False) -> str:
        return self._run(Wishes(), typed, lambda connector: connector.disconnect(AGENTS[agent], revoke=revoke))

    def status(self) -> str:
        return self._run(Wishes(), None, lambda connector: connector.status())

    def _run(self, wishes: Wishes, typed: str | None, action: object) -> str:
        assert callable(action)
        out = io.StringIO()
        terminal = Terminal(out, Typist(typed or ""), yes=typed is None)
        connector = Connector(Places(self.home, self.environment), terminal, wishes, self.slept.append)
        try:
            action(connector)
        finally:
            connector.close()
            self.said += out.getvalue()
        return out.getvalue()

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Return contents and modes of all files but those of the command itself."""
        own = self.home / ".config" / "opencode-cloud"
        return {
            file.relative_to(self.home).as_posix(): (file.read_bytes(), file.stat().st_mode & 0o777)
            for file in sorted(self.home.rglob("*"))
            if file.is_file() and not file.is_relative_to(own)
        }

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            file = self.home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o640)

    @property
    def key(self) -> str:
        """The secret of the newest key."""
        return list(self.cloud.keys.values())[-1]["secret"]
