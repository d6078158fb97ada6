"""The sessions, keys, members and workspaces that the data plane knows, the policy it enforces, and its refusals."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.budgets import KnownBudget
from opencode_cloud.contracts.ids import (
    AccountId,
    CredentialId,
    GroupId,
    KeyId,
    MemberId,
    ServiceAccountId,
    SessionId,
    WorkspaceId,
)
from opencode_cloud.contracts.tools import SEPARATOR, ToolName, spellings
from opencode_cloud.kit.errors import Forbidden, NotFound, Unauthorized

if TYPE_CHECKING:
    from opencode_cloud.contracts.actor import Actor

WORKSPACE_HEADER = "x-org-id"
"""The header in which a person's client names the workspace."""


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, found by its hash. Exactly one of ``account`` and ``service_account`` is set."""

    id: KeyId
    workspace_id: WorkspaceId
    account_id: AccountId = AccountId("")
    member_id: MemberId = MemberId("")
    service_account_id: ServiceAccountId = ServiceAccountId("")
    name: str = ""
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    expires_at: int | None = None
    """Seconds since the epoch."""
    budgets: tuple[KnownBudget, ...] = ()
    """Budgets of this key alone."""


class KnownAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may sign in. Blocked and deleted accounts have no such value."""

    id: AccountId
    email: str
    name: str = ""


class KnownMember(msgspec.Struct, frozen=True, kw_only=True):
    """A membership, with the fields that the list of a person's workspaces shows."""

    id: MemberId
    account_id: AccountId
    workspace_id: WorkspaceId
    role: str
    email: str = ""
    workspace_name: str = ""
    budgets: tuple[KnownBudget, ...] = ()
    """Budgets of this member alone."""
    groups: tuple[GroupId, ...] = ()
    """Groups that the member is in. The workspace's row has their rules and budgets."""


class KnownServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A service account that is neither disabled nor deleted."""

    id: ServiceAccountId
    workspace_id: WorkspaceId
    name: str
    budgets: tuple[KnownBudget, ...] = ()
    """Budgets of this service account alone."""


class KnownGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group of members with rules for models."""

    id: GroupId
    name: str
    models: EnforcedRules
    """Rules for models as ``provider/model``, for the calls of its members."""


class KnownWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace that is neither blocked nor deleted, with the compiled policy that the planes enforce."""

    id: WorkspaceId
    name: str
    policy: EnforcedPolicy = msgspec.field(default_factory=lambda: EnforcedPolicy())
    budgets: tuple[KnownBudget, ...] = ()
    """Budgets of the workspace as a whole (its balance among them), of each member, of projects and of groups."""
    groups: tuple[KnownGroup, ...] = ()
    """The groups of members that have rules for models."""
    project_headers: tuple[str, ...] = ()
    """Headers in which clients of this workspace name their project, in order of precedence."""
    metadata_days: int = 0
    """The number of days for which metadata of model calls (client, user agent, address) is kept; 0: it is not stored.
    """


class EnforcedRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules for allowed names. ``*`` stands for any text, ``?`` for one character. Letter case is significant."""

    allow: tuple[str, ...] | None = None
    """Patterns; None allows every name."""
    deny: tuple[str, ...] = ()
    """Patterns that take precedence over ``allow``."""

    def permit(self, name: str) -> bool:
        """Tell whether ``name`` is allowed."""
        if any(matches(pattern, name) for pattern in self.deny):
            return False
        return self.allow is None or any(matches(pattern, name) for pattern in self.allow)

    def permit_tool(self, name: str, namespace: str = "") -> bool:
        """Tell whether the tool ``name`` is allowed, whichever agent spells it. Letter case does not count.

        A tool in a ``namespace`` is denied by its own name, by its whole name and by its namespace. It is allowed by
        its whole name, or by its own name and its namespace together.
        """
        parts = (name, namespace.removesuffix(SEPARATOR)) if namespace else (name,)
        whole = ToolName(name, namespace).whole
        if any(_means(self.deny, each) for each in (whole, *parts)):
            return False
        return self.allow is None or _means(self.allow, whole) or all(_means(self.allow, part) for part in parts)


def _means(patterns: tuple[str, ...], name: str) -> bool:
    """Tell whether a pattern means the tool ``name`` in one of its spellings."""
    names = spellings(name)
    return any(matches(pattern.lower(), each) for pattern in patterns for each in names)


class FallbackReason(StrEnum):
    """The reason for which another model than the requested one serves a call."""

    UNAVAILABLE = "unavailable"
    """No upstream of the model answered."""
    CONTEXT = "context"
    """The prompt is longer than the model's context."""
    BUDGET = "budget"
    """A budget of the call is nearly used up."""


class FallbackChain(msgspec.Struct, frozen=True, kw_only=True):
    """The models that may serve the calls of another model, in order. All names are ``provider/model``."""

    model: str
    """The requested model."""
    to: tuple[str, ...]
    when: tuple[FallbackReason, ...]
    budget_percent: int = 90
    """The part of a budget of money, spent or reserved, from which on it is nearly used up."""


class RedactionPattern(msgspec.Struct, frozen=True):
    """A form of secrets that a workspace declares, besides the forms that are known to all."""

    name: str
    """The kind, as it replaces the secret."""
    pattern: str
    """A regular expression in RE2's syntax."""


class EnforcedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as the data planes enforce it, regardless of the client's configuration."""

    version: int = 0
    """The version of the policy; 0: none was ever published, and nothing is restricted."""
    providers: EnforcedRules = EnforcedRules()
    """Rules for ids of providers."""
    models: EnforcedRules = EnforcedRules()
    """Rules for models as ``provider/model``."""
    tools: EnforcedRules = EnforcedRules()
    """Rules for names of tools."""
    share_mode: str = "link"
    """The widest permitted audience of shares: ``off``, ``workspace`` (members only) or ``link``."""
    share_lifetime_seconds: int | None = None
    """The longest permitted lifetime of a share, in seconds; None: unlimited."""
    share_redaction: str = "on"
    """The treatment of secrets in shares: ``on`` (replaced), ``report`` (reported only) or ``off``."""
    share_patterns: tuple[RedactionPattern, ...] = ()
    """The workspace's own forms of secrets."""
    session_budget: int | None = None
    """The most that the calls of one session may cost together, in micro-cents; None: unlimited."""
    fallbacks: tuple[FallbackChain, ...] = ()

    def permits_model(self, provider: str, model: str) -> bool:
        """Tell whether ``model`` of ``provider`` may be used."""
        return self.providers.permit(provider) and self.models.permit(f"{provider}/{model}")


class KnownConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """The remote config of a workspace, compiled from its policy and its configuration document."""

    etag: str
    """A tag that changes with the contents."""
    config: msgspec.Raw
    """The opencode configuration for clients 1.x."""
    providers: msgspec.Raw
    """The providers by id, for clients 2.x."""


class KnownCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace's own credential for a model provider, sealed. Only the gateway's role can open it."""

    id: CredentialId
    provider: str
    """The value of a ``Provider`` of ``keys``."""
    name: str
    base_url: str | None
    sealed: bytes
    data_key: bytes


class KnownCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """All provider credentials of a workspace."""

    credentials: tuple[KnownCredential, ...] = ()


class KnownSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of a browser or a device that is neither ended nor expired."""

    id: SessionId
    account_id: AccountId
    kind: str
    """The kind of session: ``web`` or ``device``."""
    expires_at: int


def groups_refusing(workspace: KnownWorkspace, groups: Collection[GroupId], name: str) -> Sequence[KnownGroup]:
    """Return those of a member's groups whose rules refuse the model ``name`` (``provider/model``).

    Lists of several groups add up, and a denial by one group wins over all of them (docs/decisions/068).
    """
    wanted = frozenset(groups)
    own = [group for group in workspace.groups if group.id in wanted] if wanted else []
    if denying := [group for group in own if any(matches(pattern, name) for pattern in group.models.deny)]:
        return denying
    lists = [group for group in own if group.models.allow is not None]
    return [] if any(group.models.permit(name) for group in lists) else lists


def permits_model(workspace: KnownWorkspace, groups: Collection[GroupId], provider: str, model: str) -> bool:
    """Tell whether a member of ``groups`` may use a model, by the workspace's policy and the groups' rules."""
    if not workspace.policy.permits_model(provider, model):
        return False
    return not groups_refusing(workspace, groups, f"{provider}/{model}")


def matches(pattern: str, name: str) -> bool:
    """Tell whether ``name`` matches ``pattern`` by the rules of the client's wildcards."""
    return _compiled(pattern).match(name) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern as an expression, which never goes back over a star and so takes linear time."""
    # `fnmatch` knows the client's wildcards, and sets of characters (`[ab]`), which the client does not.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


class KeyRefused(Unauthorized):
    """A key of a workspace is refused. The client gets ``login_required``; admins find ``rule`` and ``reason``."""

    def __init__(self, actor: Actor, key: KnownKey, rule: str, reason: str) -> None:
        """``actor`` is the holder whom the key's row names."""
        answer = login_required()
        super().__init__(answer.code, answer.message)
        self.actor = actor
        self.key = key
        self.rule = rule
        self.reason = reason


def account_required() -> Forbidden:
    """Return the error for a key on a route that concerns a person."""
    return Forbidden(
        "account_required",
        "This route is for people, not for keys. Send the access token of `opencode console login <this host>`.",
    )


def login_required() -> Unauthorized:
    """Return the error for a request without a valid credential.

    Missing and invalid are deliberately indistinguishable.
    """
    return Unauthorized(
        "login_required", "Log in (`opencode console login <this host>`) or send a key as `Authorization: Bearer`."
    )


def member_not_found() -> NotFound:
    """Return the error for a member who does not exist, or is in another workspace."""
    return NotFound("member_not_found", "The workspace has no member with this id.")


def not_permitted(permission: str) -> Forbidden:
    """Return the error for a member of the workspace who lacks a permission."""
    return Forbidden(
        "not_permitted", f"Your role or key does not include `{permission}`. Ask an admin of the workspace."
    )


def person_required(reason: str = "A key cannot do it.") -> Forbidden:
    """Return the error for a key that attempted an action that only a person may do."""
    return Forbidden("person_required", f"This needs a person who is signed in. {reason}")


def workspace_not_found() -> NotFound:
    """Return the error for a workspace that does not exist or does not include the actor: both get the same answer."""
    return NotFound("workspace_not_found", "There is no workspace with this id, or you are not a member of it.")


def workspace_required() -> Unauthorized:
    """Return the error for a person's token without a workspace: the token names only the person."""
    return Unauthorized("workspace_required", "Name the workspace in the header `x-org-id`.")
