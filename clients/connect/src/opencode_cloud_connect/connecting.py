"""Connect an agent, and disconnect it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opencode_cloud_connect.access import Access, Accesses, Wishes
from opencode_cloud_connect.agents import Agent, Places, Settings
from opencode_cloud_connect.agents.agent import KEY_VARIABLE
from opencode_cloud_connect.errors import ConnectError
from opencode_cloud_connect.files import PRIVATE, Planned, difference, plan, present, replace, taken_back, write
from opencode_cloud_connect.http import Server
from opencode_cloud_connect.state import Connection, State, WrittenFile, digest
from opencode_cloud_connect.terminal import Terminal
from opencode_cloud_connect.workspaces import Models, knows_model


class Connector:
    """Connects and disconnects agents on this machine. ``close`` ends the login at the server."""

    def __init__(
        self, places: Places, terminal: Terminal, wishes: Wishes, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._places = places
        self._terminal = terminal
        self._wishes = wishes
        self._state = State(places)
        self._accesses = Accesses(self._state, terminal, wishes, sleep)

    def connect(self, agent: Agent) -> None:
        """Log in, make or reuse a key, and write the agent's files. Raises :class:`ConnectError`."""
        access = self._accesses.of(agent.name)
        known = self._state.connection(agent.name)
        try:
            settings = self._settings(agent, access)
            if self._wishes.print_only:
                self._print(agent, settings, access)
                return
            self._configure(agent, settings, access)
        except (ConnectError, OSError, KeyboardInterrupt):
            if access.new:
                self._accesses.revoke(access.server, access.workspace.id, access.key_id)
            raise
        if known and access.new and known.host == access.server.url:
            self._end_key_before(access.server, known)

    def disconnect(self, agent: Agent, *, revoke: bool) -> None:
        """Restore the agent's files and delete its key here, and with ``revoke`` also at the server."""
        known = self._state.connection(agent.name)
        if known is None:
            raise ConnectError("not_connected", f"{agent.title} is not connected.")
        for file in known.files:
            self._terminal.say(f"{'Restore' if file.backup else 'Delete'} {file.path}")
        self._terminal.confirm("Do this?")
        if revoke:
            self._accesses.revoke(Server(known.host), known.workspace_id, known.key_id)
        for file in known.files:
            self._restore(file)
        self._state.forget(known)
        self._terminal.say(f"{agent.title} is disconnected.")
        kept = f"Its key {known.key_id} stays valid at {known.host} until you revoke it there."
        self._terminal.say("Its key is revoked." if revoke else kept)

    def status(self) -> None:
        """Tell the connections of this machine."""
        for each in self._state.connections():
            self._terminal.say(f"{each.agent}  {each.host}  {each.workspace}  {each.model}  key {each.key_id}")

    def close(self) -> None:
        """End the login, if there was one."""
        self._accesses.close()

    # ---------------------------------------------------------------------------------------- settings

    def _settings(self, agent: Agent, access: Access) -> Settings:
        models = access.models
        if not models.ids:
            raise ConnectError("no_models", f"The workspace {access.workspace.name} may use no model.")
        model = self._wishes.model or self._preferred(agent, models)
        small = self._wishes.small_model or models.small or model
        for each in (model, small):
            if each not in models.ids and not knows_model(access.server, access.secret, each):
                raise ConnectError("model_not_found", f"{each} is not one of: {', '.join(models.ids)}.")
        self._terminal.say(f"Model: {model}" + (f", for small tasks {small}" if small != model else ""))
        key_file = self._state.key_file(agent.name)
        return Settings(access.server.url, access.secret, key_file, model, small, models)

    def _preferred(self, agent: Agent, models: Models) -> str:
        """Return a model where none was named: the workspace's default, or a guess that the person may change."""
        vendor = sorted(each for each in models.ids if each.startswith(agent.family))
        guess = models.default or (vendor[-1] if vendor else models.ids[0])
        if len(models.ids) == 1 or models.default or not self._terminal.interactive:
            return guess
        ordered = [guess, *(each for each in models.ids if each != guess)]
        return ordered[self._terminal.choose("Model", ordered)]

    def _print(self, agent: Agent, settings: Settings, access: Access) -> None:
        """Print variables for a shell. The key comes from its file when the shell runs the lines."""
        if agent.exports is None:
            raise ConnectError("no_variables", f"{agent.title} reads no variables. Connect it without --print.")
        known = self._state.connection(agent.name)
        self._keep(self._connection(agent, settings, access, known.files if known else []), access)
        secret = f'"$(cat {shlex.quote(str(settings.key_file))})"'
        for name, value in agent.exports(settings).items():
            self._terminal.say(f"export {name}={secret if value == KEY_VARIABLE else shlex.quote(value)}")
        self._terminal.say((agent.options or agent.start)(settings))

    # ------------------------------------------------------------------------------------------- files

    def _configure(self, agent: Agent, settings: Settings, access: Access) -> None:
        known = self._state.connection(agent.name)
        old = {file.path: file for file in known.files} if known else {}
        planned = list[Planned]()
        for change in agent.changes(settings, self._places):
            file = old.pop(str(change.path), None)
            before, mode = _restored(file)[:2] if file else present(change.path)
            planned.append(plan(change, before, mode))
        self._warn(agent)
        for each in planned:
            self._terminal.say(difference(each) or f"{each.change.path} stays as it is.")
        self._terminal.confirm("Write this?")
        for file in old.values():
            self._restore(file)
        # The record is written first, so that a command that dies in between can be taken back.
        written = [self._state.back_up(agent.name, number, each) for number, each in enumerate(planned)]
        self._keep(self._connection(agent, settings, access, written), access)
        for each in planned:
            write(each)
        self._terminal.say(f"{agent.title} is connected. Start it: {agent.start(settings)}")
        self._terminal.say(f"Take it back: opencode-cloud disconnect {agent.name}")

    def _end_key_before(self, server: Server, known: Connection) -> None:
        """Revoke the key of the connection before. The agent works without this, so a failure is only told."""
        try:
            self._accesses.revoke(server, known.workspace_id, known.key_id)
        except ConnectError as error:
            self._terminal.say(f"The key before stays valid until you revoke it in the console. {error}")
        else:
            self._terminal.say(f"The key before, {known.key_id}, is revoked.")

    def _connection(self, agent: Agent, settings: Settings, access: Access, files: Sequence[WrittenFile]) -> Connection:
        return Connection(
            agent=agent.name,
            host=settings.url,
            workspace_id=access.workspace.id,
            workspace=access.workspace.name,
            key_id=access.key_id,
            model=settings.model,
            files=list(files),
        )

    def _keep(self, connection: Connection, access: Access) -> None:
        self._state.keep(connection)
        if access.new:
            self._state.keep_key(connection.agent, access.secret)

    def _restore(self, file: WrittenFile) -> None:
        content, mode, left = _restored(file)
        path = Path(file.path)
        if content is None:
            path.resolve().unlink(missing_ok=True)
        else:
            replace(path, content, PRIVATE if mode is None else mode)
        if left:
            self._terminal.say(f"You changed these in {path} since, so they stay: {', '.join(left)}.")

    def _warn(self, agent: Agent) -> None:
        names = [name for name in agent.conflicts if self._places.environment.get(name)]
        if names:
            self._terminal.say(f"Unset {', '.join(names)} in your shell: {agent.title} prefers them to its files.")


def _restored(file: WrittenFile) -> tuple[bytes | None, int | None, list[str]]:
    """Return contents, mode, and the members that stay because the person changed them since.

    A file that is as it was written becomes what it was before, byte for byte. In any other, the edits are taken back.
    """
    content, _ = present(Path(file.path))
    before = Path(file.backup).read_bytes() if file.backup else None
    if content is None:
        return None, None, []
    if digest(content) == file.digest or content == before:
        return before, file.mode, []
    taken, left = taken_back(Path(file.path), content, file.format, file.undos)
    return taken, file.mode, left
