"""The one table of permissions in a workspace. The API's documents and docs/roles.md are generated from it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """The role of a member in a workspace."""

    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    MEMBER = "member"
    VIEWER = "viewer"


class KeyScope(StrEnum):
    """A use that a key may be limited to. Sessions and access tokens have all scopes."""

    INFERENCE = "inference"
    USAGE = "usage"
    ADMIN = "admin"


class Permission(StrEnum):
    """One permitted operation."""

    WORKSPACE_READ = "workspace:read"
    WORKSPACE_UPDATE = "workspace:update"
    WORKSPACE_TRANSFER = "workspace:transfer"
    WORKSPACE_DELETE = "workspace:delete"
    DOMAIN_READ = "domain:read"
    DOMAIN_MANAGE = "domain:manage"
    MEMBER_READ = "member:read"
    MEMBER_INVITE = "member:invite"
    MEMBER_UPDATE = "member:update"
    MEMBER_REMOVE = "member:remove"
    GROUP_MANAGE = "group:manage"
    """Make, change and delete groups of members, and put members into them."""
    SERVICE_ACCOUNT_READ = "service_account:read"
    SERVICE_ACCOUNT_MANAGE = "service_account:manage"
    KEY_OWN = "key:own"
    """List, make, rotate and revoke one's own keys."""
    KEY_MANAGE = "key:manage"
    """List, make, rotate and revoke all keys of the workspace."""
    PROVIDER_READ = "provider:read"
    PROVIDER_MANAGE = "provider:manage"
    POLICY_READ = "policy:read"
    POLICY_MANAGE = "policy:manage"
    CONFIGURATION_READ = "configuration:read"
    CONFIGURATION_MANAGE = "configuration:manage"
    CONFIGURATION_PROGRAMS = "configuration:programs"
    """Publish the members of a configuration that run programs on members' machines, or grant rights to them."""
    REMOTE_CONFIG = "remote_config:read"
    """Fetch the configuration of one's own client."""
    INFERENCE = "inference:use"
    SHARE_OWN = "share:own"
    """Share one's sessions, list and revoke these shares."""
    SHARE_VIEW = "share:view"
    """Open shares that are for members only."""
    SHARE_MANAGE = "share:manage"
    """List and revoke all shares of the workspace."""
    AUDIT_READ = "audit:read"
    AUDIT_RETENTION = "audit:retention"
    """Set how long audit entries are kept."""
    USAGE_OWN = "usage:own"
    USAGE_READ = "usage:read"
    BUDGET_OWN = "budget:own"
    """See the budgets that apply to oneself, and their remaining amounts."""
    BUDGET_READ = "budget:read"
    BUDGET_MANAGE = "budget:manage"
    BILLING_READ = "billing:read"
    BILLING_MANAGE = "billing:manage"


_P = Permission
_SEEN = {_P.WORKSPACE_READ, _P.MEMBER_READ, _P.POLICY_READ, _P.REMOTE_CONFIG, _P.SHARE_VIEW}
_EVERYONE = _SEEN | {_P.USAGE_OWN, _P.BUDGET_OWN}
_MEMBER = _EVERYONE | {_P.KEY_OWN, _P.INFERENCE, _P.SHARE_OWN}
_BILLING = _EVERYONE | {_P.BILLING_READ, _P.BILLING_MANAGE, _P.USAGE_READ, _P.BUDGET_READ, _P.BUDGET_MANAGE}
_ADMIN = (
    _MEMBER
    | {_P.WORKSPACE_UPDATE, _P.DOMAIN_READ, _P.DOMAIN_MANAGE, _P.MEMBER_INVITE, _P.MEMBER_UPDATE, _P.MEMBER_REMOVE}
    | {_P.GROUP_MANAGE, _P.SERVICE_ACCOUNT_READ, _P.SERVICE_ACCOUNT_MANAGE, _P.KEY_MANAGE}
    | {_P.PROVIDER_READ, _P.PROVIDER_MANAGE}
    | {_P.POLICY_MANAGE, _P.CONFIGURATION_READ, _P.CONFIGURATION_MANAGE, _P.SHARE_MANAGE, _P.AUDIT_READ}
    | {_P.USAGE_READ, _P.BUDGET_READ, _P.BUDGET_MANAGE}
)
GRANTS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OWNER: frozenset(Permission),
        Role.ADMIN: frozenset(_ADMIN),
        Role.BILLING: frozenset(_BILLING),
        Role.MEMBER: frozenset(_MEMBER),
        Role.VIEWER: frozenset(_EVERYONE),
    }
)
"""The permissions of each role."""


class Reach(StrEnum):
    """The most that a holder of a permission can reach with it, directly or by a detour."""

    OWN = "concerns the holder alone"
    KNOWLEDGE = "reads what the workspace keeps"
    MONEY = "spends money, or decides about it"
    SERVICE = "changes or ends what members use"
    CREDENTIALS = "makes credentials, none wider or longer-lived than its own"
    PEOPLE = "lets people in, out or up"
    MACHINES = "decides what runs on members' machines, with their tokens"
    TRACE = "decides how long the record of all this is kept"


LEADS_TO: Mapping[Permission, Reach] = MappingProxyType(
    {
        _P.WORKSPACE_READ: Reach.KNOWLEDGE,
        _P.WORKSPACE_UPDATE: Reach.SERVICE,
        _P.WORKSPACE_TRANSFER: Reach.PEOPLE,
        _P.WORKSPACE_DELETE: Reach.PEOPLE,
        _P.DOMAIN_READ: Reach.KNOWLEDGE,
        # People of a domain join by themselves.
        _P.DOMAIN_MANAGE: Reach.PEOPLE,
        _P.MEMBER_READ: Reach.KNOWLEDGE,
        _P.MEMBER_INVITE: Reach.PEOPLE,
        _P.MEMBER_UPDATE: Reach.PEOPLE,
        _P.MEMBER_REMOVE: Reach.PEOPLE,
        # A group decides which models its members use, and which budgets count their calls.
        _P.GROUP_MANAGE: Reach.MONEY,
        _P.SERVICE_ACCOUNT_READ: Reach.KNOWLEDGE,
        _P.SERVICE_ACCOUNT_MANAGE: Reach.CREDENTIALS,
        _P.KEY_OWN: Reach.CREDENTIALS,
        _P.KEY_MANAGE: Reach.CREDENTIALS,
        _P.PROVIDER_READ: Reach.KNOWLEDGE,
        # The address of a provider is reserved to people: its answers call tools on members' machines.
        _P.PROVIDER_MANAGE: Reach.SERVICE,
        _P.POLICY_READ: Reach.KNOWLEDGE,
        # A policy decides which tools run, and which providers answer.
        _P.POLICY_MANAGE: Reach.MACHINES,
        _P.CONFIGURATION_READ: Reach.KNOWLEDGE,
        _P.CONFIGURATION_MANAGE: Reach.MACHINES,
        _P.CONFIGURATION_PROGRAMS: Reach.MACHINES,
        _P.REMOTE_CONFIG: Reach.OWN,
        _P.INFERENCE: Reach.MONEY,
        _P.SHARE_OWN: Reach.OWN,
        _P.SHARE_VIEW: Reach.KNOWLEDGE,
        _P.SHARE_MANAGE: Reach.SERVICE,
        _P.AUDIT_READ: Reach.KNOWLEDGE,
        _P.AUDIT_RETENTION: Reach.TRACE,
        _P.USAGE_OWN: Reach.OWN,
        _P.USAGE_READ: Reach.KNOWLEDGE,
        _P.BUDGET_OWN: Reach.OWN,
        _P.BUDGET_READ: Reach.KNOWLEDGE,
        _P.BUDGET_MANAGE: Reach.MONEY,
        _P.BILLING_READ: Reach.KNOWLEDGE,
        _P.BILLING_MANAGE: Reach.MONEY,
    }
)
"""The reach of each permission."""

PERSONS_ONLY = frozenset({Reach.PEOPLE, Reach.MACHINES, Reach.TRACE})
"""Reaches that need a person who is signed in. No scope of a key includes a permission that leads to one of them."""

SCOPES: Mapping[KeyScope, frozenset[Permission]] = MappingProxyType(
    {
        KeyScope.INFERENCE: frozenset({_P.INFERENCE, _P.REMOTE_CONFIG}),
        KeyScope.USAGE: frozenset(
            {_P.USAGE_OWN, _P.USAGE_READ, _P.BUDGET_OWN, _P.BUDGET_READ, _P.WORKSPACE_READ, _P.MEMBER_READ}
        ),
        KeyScope.ADMIN: frozenset(each for each in Permission if LEADS_TO[each] not in PERSONS_ONLY) - {_P.INFERENCE},
    }
)
"""The most that a key may do. Its holder's role also limits it. A service account has the role admin."""


def allows(role: str, scopes: frozenset[str] | None, permission: Permission) -> bool:
    """Tell whether ``role`` has ``permission``. ``scopes`` are the key's; None for sessions and tokens."""
    if role not in GRANTS or permission not in GRANTS[Role(role)]:
        return False
    return scopes is None or any(permission in SCOPES[KeyScope(scope)] for scope in scopes)
