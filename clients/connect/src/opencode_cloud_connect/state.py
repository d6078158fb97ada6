"""The record of connections on this machine: the files that were written, and the keys.

Everything is below one private folder: ``$XDG_CONFIG_HOME/opencode-cloud``, by default ``~/.config/opencode-cloud``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opencode_cloud_connect.agents.agent import Places
from opencode_cloud_connect.errors import ConnectError
from opencode_cloud_connect.files import PRIVATE, Planned, Undo, replace
from opencode_cloud_connect.formats import ABSENT

_ABSENT = {"absent": True}


@dataclass
class WrittenFile:
    """A configuration file that a connection wrote."""

    path: str
    format: str
    backup: str
    """The file with the contents before; empty if there was none."""
    mode: int | None
    digest: str
    """SHA-256 of the contents that were written."""
    undos: list[Undo] = field(default_factory=list[Undo])


@dataclass
class Connection:
    """One agent, connected to one workspace."""

    agent: str
    host: str
    workspace_id: str
    workspace: str
    key_id: str
    model: str
    files: list[WrittenFile] = field(default_factory=list[WrittenFile])


class State:
    """The folder with connections, keys and backups."""

    def __init__(self, places: Places) -> None:
        self.folder = places.folder("XDG_CONFIG_HOME", ".config") / "opencode-cloud"

    def key_file(self, agent: str) -> Path:
        """Return the file that holds the key of an agent, and nothing else."""
        return self.folder / "keys" / agent

    def key(self, agent: str) -> str:
        """Return the key of an agent; empty if there is none."""
        file = self.key_file(agent)
        return file.read_text().strip() if file.exists() else ""

    def keep_key(self, agent: str, secret: str) -> None:
        """Store the key of an agent, readable by its owner only."""
        replace(self.key_file(agent), f"{secret}\n".encode(), PRIVATE)

    def connection(self, agent: str) -> Connection | None:
        """Return the connection of an agent. Raises ``broken_state`` for a record that cannot be read."""
        file = self._record(agent)
        if not file.exists():
            return None
        try:
            return _connection(json.loads(file.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise ConnectError("broken_state", f"{file} cannot be read. The backups are beside it.") from error

    def connections(self) -> list[Connection]:
        """Return all connections, by the names of their agents."""
        names = sorted(file.stem for file in (self.folder / "connections").glob("*.json"))
        return [found for name in names if (found := self.connection(name))]

    def keep(self, connection: Connection) -> None:
        """Store a connection."""
        document = asdict(connection)
        for file in document["files"]:
            for undo in file["undos"]:
                undo["before"] = _ABSENT if undo["before"] is ABSENT else {"value": undo["before"]}
        replace(self._record(connection.agent), json.dumps(document, indent=1).encode(), PRIVATE)

    def back_up(self, agent: str, number: int, planned: Planned) -> WrittenFile:
        """Keep the contents of a file before its change; return the record of the change."""
        backup = self.folder / "backups" / agent / f"{number}-{planned.change.path.name}"
        if planned.before is not None:
            replace(backup, planned.before, PRIVATE)
        return WrittenFile(
            path=str(planned.change.path),
            format=planned.change.format,
            backup=str(backup) if planned.before is not None else "",
            mode=planned.mode,
            digest=digest(planned.after),
            undos=planned.undos,
        )

    def forget(self, connection: Connection) -> None:
        """Delete the record of a connection, its backups and its key."""
        for file in connection.files:
            if file.backup:
                Path(file.backup).unlink(missing_ok=True)
        self._record(connection.agent).unlink(missing_ok=True)
        self.key_file(connection.agent).unlink(missing_ok=True)

    def _record(self, agent: str) -> Path:
        return self.folder / "connections" / f"{agent}.json"


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's contents."""
    return hashlib.sha256(content).hexdigest()


def _connection(document: dict[str, Any]) -> Connection:
    files = list[WrittenFile]()
    for file in document.pop("files"):
        undos = [_undo(undo) for undo in file.pop("undos")]
        files.append(WrittenFile(**file, undos=undos))
    return Connection(**document, files=files)


def _undo(document: dict[str, Any]) -> Undo:
    before = document.pop("before")
    return Undo(**document, before=ABSENT if before == _ABSENT else before["value"])
