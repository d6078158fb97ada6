"""Storage of workspaces. Only this package of the feature knows SQL or AWS."""

from opencode_cloud.workspaces.store.domains import DomainStore
from opencode_cloud.workspaces.store.groups import GroupStore
from opencode_cloud.workspaces.store.invitations import InvitationStore
from opencode_cloud.workspaces.store.members import MemberStore
from opencode_cloud.workspaces.store.resolver import Resolver
from opencode_cloud.workspaces.store.service_accounts import ServiceAccountStore
from opencode_cloud.workspaces.store.workspaces import WorkspaceStore

__all__ = [
    "DomainStore",
    "GroupStore",
    "InvitationStore",
    "MemberStore",
    "Resolver",
    "ServiceAccountStore",
    "WorkspaceStore",
]
