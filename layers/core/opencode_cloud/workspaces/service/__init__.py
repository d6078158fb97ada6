"""Rules of workspaces, free of AWS and HTTP."""

from opencode_cloud.workspaces.service.domains import Domains
from opencode_cloud.workspaces.service.groups import Groups
from opencode_cloud.workspaces.service.invitations import Invitations
from opencode_cloud.workspaces.service.joining import Joining
from opencode_cloud.workspaces.service.members import Members
from opencode_cloud.workspaces.service.service_accounts import ServiceAccounts
from opencode_cloud.workspaces.service.workspaces import Workspaces, WorkspaceStores

__all__ = ["Domains", "Groups", "Invitations", "Joining", "Members", "ServiceAccounts", "WorkspaceStores", "Workspaces"]
