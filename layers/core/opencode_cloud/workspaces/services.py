"""All services of workspaces and keys, as routes and operators use them."""

from __future__ import annotations

import msgspec

from opencode_cloud.keys.service import Credentials, Keys
from opencode_cloud.workspaces.service import Domains, Groups, Invitations, Members, ServiceAccounts, Workspaces


class WorkspaceServices(msgspec.Struct, frozen=True):
    """All services of workspaces and keys."""

    workspaces: Workspaces
    members: Members
    groups: Groups
    invitations: Invitations
    domains: Domains
    service_accounts: ServiceAccounts
    keys: Keys
    credentials: Credentials
