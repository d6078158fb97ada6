"""The workspaces of a person, their keys and models, as the server's API tells them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from opencode_cloud_connect.errors import ConnectError, ServerRefused
from opencode_cloud_connect.formats.values import as_object
from opencode_cloud_connect.http import Server

PROVIDER = "opencode-cloud"
"""The name of the server in the configuration of agents that name their providers."""
SCOPE = "inference"
"""The only scope of keys that are made here: they call models, and read the client's own configuration."""
_UNAUTHORIZED = (401, 403)


@dataclass(frozen=True)
class Workspace:
    """A workspace that the person is a member of."""

    id: str
    name: str


@dataclass(frozen=True)
class Key:
    """A new key, with its secret."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Models:
    """The models that a key may use."""

    ids: tuple[str, ...]
    default: str = ""
    """The workspace's default model; empty if it has none."""
    small: str = ""
    """The workspace's model for titles and summaries; empty if it has none."""
    provider: dict[str, Any] = field(default_factory=dict[str, Any])
    """The server's own entry of ``provider`` for opencode; empty if the server publishes none."""


def workspaces(server: Server, token: str) -> list[Workspace]:
    """Return all workspaces of a person that are not deleted."""
    found, cursor = list[Workspace](), ""
    while True:
        page = server.ask("GET", "/api/v1/workspaces" + (f"?cursor={quote(cursor)}" if cursor else ""), token=token)
        found += [Workspace(each["id"], each["name"]) for each in page["data"] if not each.get("deleted_at")]
        cursor = page["next_cursor"] or ""
        if not cursor:
            return found


def make_key(server: Server, token: str, workspace_id: str, name: str, expires_at: str = "") -> Key:
    """Create a key for model calls. ``expires_at`` is a time such as ``2027-01-31T00:00:00Z``, or empty."""
    wish = {"name": name, "scopes": [SCOPE], **({"expires_at": expires_at} if expires_at else {})}
    made = server.ask("POST", f"/api/v1/workspaces/{quote(workspace_id)}/keys", wish, token=token)
    return Key(made["id"], made["secret"])


def revoke_key(server: Server, token: str, workspace_id: str, key_id: str) -> None:
    """Revoke a key. A key that does not exist any more is no error."""
    path = f"/api/v1/workspaces/{quote(workspace_id)}/keys/{quote(key_id)}"
    answer = server.call("DELETE", path, token=token)
    if answer.status >= 400 and answer.status != 404:
        raise ConnectError("not_revoked", f"The key {key_id} was not revoked: the server answered {answer.status}.")


def knows_model(server: Server, key: str, model: str) -> bool:
    """Tell whether a name means a model that the key may use. Names with a date and aliases are not in the list."""
    return server.call("GET", f"/zen/v1/models/{quote(model, safe='')}", token=key).status == 200


def models_of(server: Server, key: str) -> Models | None:
    """Return the models that a key may use; None if the server does not accept the key."""
    try:
        listed = server.ask("GET", "/zen/v1/models", token=key)
    except ServerRefused as error:
        if error.status in _UNAUTHORIZED:
            return None
        raise
    ids = tuple(each["id"] for each in listed["data"])
    answer = server.call("GET", "/api/config", token=key)
    # A workspace without a configuration answers 404.
    config = as_object(as_object(answer.document).get("config"))
    entries = [as_object(each) for each in as_object(config.get("provider")).values()]
    provider = next((each for each in entries if set(as_object(each.get("models"))) & set(ids)), dict[str, Any]())
    default, small = (str(config.get(name, "")).partition("/")[2] for name in ("model", "small_model"))
    return Models(ids, default if default in ids else "", small if small in ids else "", provider)
