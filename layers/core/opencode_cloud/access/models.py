"""The nouns of access: what the hot planes know of sessions, keys, members and workspaces; and their errors."""

from __future__ import annotations

import msgspec

from opencode_cloud.kit.errors import Forbidden, NotFound, Unauthorized


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, found by its hash. Exactly one of ``account`` and ``service_account`` is set."""

    id: str
    workspace: str
    account: str = ""
    member: str = ""
    service_account: str = ""
    name: str = ""
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    expires_at: int | None = None
    """Seconds since the epoch."""


class KnownAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may sign in; blocked and deleted ones are not known."""

    id: str
    email: str
    name: str = ""


class KnownMember(msgspec.Struct, frozen=True, kw_only=True):
    """A membership, with what the list of a person's workspaces shows."""

    id: str
    account: str
    workspace: str
    role: str
    workspace_name: str = ""


class KnownServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A service account that is neither disabled nor deleted."""

    id: str
    workspace: str
    name: str


class KnownWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace that is neither blocked nor deleted, with the compiled policy that the planes enforce."""

    id: str
    name: str
    policy: EnforcedPolicy = msgspec.field(default_factory=lambda: EnforcedPolicy())


class EnforcedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as the hot planes enforce it; None means no restriction."""

    version: int = 0
    providers: tuple[str, ...] | None = None
    """Patterns of provider ids."""
    models: tuple[str, ...] | None = None
    """Patterns ``provider/model``."""
    share_mode: str = "link"
    """``off``, ``workspace`` (members only) or ``link``: the widest that shares may be."""
    share_lifetime_seconds: int | None = None
    """The longest that a share may live."""
    tools: tuple[str, ...] | None = None


class KnownSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of a browser or a device that is neither ended nor expired."""

    id: str
    account: str
    kind: str
    """``web`` or ``device``."""
    expires_at: int


def login_required() -> Unauthorized:
    """No credential came, or none that is valid now; which of the two is nobody's business."""
    return Unauthorized(
        "login_required", "Log in (`opencode console login <this host>`) or send a key as `Authorization: Bearer`."
    )


def not_permitted(permission: str) -> Forbidden:
    """The actor is known in the workspace, and lacks a permission."""
    return Forbidden(
        "not_permitted", f"Your role or key does not include `{permission}`. Ask an admin of the workspace."
    )


def workspace_not_found() -> NotFound:
    """There is no such workspace, or the actor is not in it: the same answer."""
    return NotFound("workspace_not_found", "There is no workspace with this id, or you are not a member of it.")


def workspace_required() -> Unauthorized:
    """A person's token says who they are, not which workspace they mean."""
    return Unauthorized("workspace_required", "Name the workspace in the header `x-org-id`.")
