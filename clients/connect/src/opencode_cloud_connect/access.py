"""A key for an agent: the stored one where it still works, else a new one after a login."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from opencode_cloud_connect.errors import ConnectError
from opencode_cloud_connect.http import Server
from opencode_cloud_connect.login import Login, log_in, log_out
from opencode_cloud_connect.state import Connection, State
from opencode_cloud_connect.terminal import Terminal
from opencode_cloud_connect.workspaces import SCOPE, Models, Workspace, make_key, models_of, revoke_key, workspaces


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the person wants. Empty: the command asks, or chooses."""

    host: str = ""
    workspace: str = ""
    """The id or the name of a workspace."""
    model: str = ""
    small_model: str = ""
    expires_at: str = ""
    """When the key ends, such as ``2027-01-31T00:00:00Z``."""
    new_key: bool = False
    print_only: bool = False


@dataclass(frozen=True)
class Access:
    """A key that works, and the models that it may use."""

    server: Server
    workspace: Workspace
    key_id: str
    models: Models
    secret: str = field(repr=False)
    new: bool = True
    """True if the key was made by this command."""


class Accesses:
    """Finds or makes keys. A login is made when it is first needed, and ended by ``close``."""

    def __init__(self, state: State, terminal: Terminal, wishes: Wishes, sleep: Callable[[float], None] = time.sleep):
        self._state = state
        self._terminal = terminal
        self._wishes = wishes
        self._sleep = sleep
        self._login: tuple[Server, Login] | None = None
        self._chosen: Workspace | None = None

    def of(self, agent: str) -> Access:
        """Return a key for an agent. Raises :class:`ConnectError`."""
        known = self._state.connection(agent)
        server = Server(self._wishes.host or (known.host if known else self._only_host()))
        return self._reused(server, agent, known) or self._made(server, agent)

    def revoke(self, server: Server, workspace_id: str, key_id: str) -> None:
        """Revoke a key at the server."""
        revoke_key(server, self._logged_in(server).access_token, workspace_id, key_id)

    def close(self) -> None:
        """End the login, if there is one."""
        if self._login:
            log_out(*self._login)
            self._login = None

    def _reused(self, server: Server, agent: str, known: Connection | None) -> Access | None:
        """Return the stored key, if it still works and is of the wanted workspace."""
        secret = self._state.key(agent)
        if known is None or not secret or self._wishes.new_key or known.host != server.url:
            return None
        if self._wishes.workspace not in ("", known.workspace_id, known.workspace):
            return None
        models = models_of(server, secret)
        if models is None:
            return None
        self._terminal.say(f"The key {known.key_id} of workspace {known.workspace} is used again.")
        return Access(server, Workspace(known.workspace_id, known.workspace), known.key_id, models, secret, new=False)

    def _made(self, server: Server, agent: str) -> Access:
        token = self._logged_in(server).access_token
        workspace = self._workspace(server)
        name = f"{agent} on {platform.node() or 'this machine'}"[:255]
        until = f", until {self._wishes.expires_at}" if self._wishes.expires_at else ""
        self._terminal.say(f'Make a key "{name}" for you in workspace {workspace.name}, scope {SCOPE}{until}.')
        key = make_key(server, token, workspace.id, name, self._wishes.expires_at)
        models = models_of(server, key.secret)
        if models is None:
            raise ConnectError("key_not_accepted", "The server does not accept the key that it just made. Try again.")
        return Access(server, workspace, key.id, models, key.secret)

    def _workspace(self, server: Server) -> Workspace:
        """Return the workspace that was named, chosen in the browser, or is the only one; else ask."""
        if self._chosen:
            return self._chosen
        login = self._logged_in(server)
        known = workspaces(server, login.access_token)
        wanted = self._wishes.workspace or login.workspace_id
        found = [each for each in known if wanted in (each.id, each.name)]
        if self._wishes.workspace and not found:
            names = ", ".join(f"{each.name} ({each.id})" for each in known)
            raise ConnectError("workspace_not_found", f"{wanted} is not one of your workspaces: {names}.")
        self._chosen = self._asked(found or known)
        return self._chosen

    def _asked(self, found: list[Workspace]) -> Workspace:
        if not found:
            raise ConnectError("no_workspace", "You are a member of no workspace. Ask for an invitation.")
        if len(found) == 1:
            return found[0]
        if not self._terminal.interactive:
            raise ConnectError("workspace_needed", "You have several workspaces. Name the id of one with --workspace.")
        return found[self._terminal.choose("Workspace", [f"{each.name} ({each.id})" for each in found])]

    def _logged_in(self, server: Server) -> Login:
        if self._login is None or self._login[0].url != server.url:
            self.close()
            self._chosen = None
            self._login = server, log_in(server, self._terminal.say, self._sleep)
        return self._login[1]

    def _only_host(self) -> str:
        hosts = {each.host for each in self._state.connections()}
        if len(hosts) != 1:
            raise ConnectError("host_needed", "Name the server: --host https://cloud.example.com.")
        return hosts.pop()
