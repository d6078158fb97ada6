"""Request bodies of clients and the console: workspaces, members, groups, invitations, domains, service accounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.workspaces.models import MOST_AUDIT_DAYS, ModelRules

Name = Annotated[str, Field(min_length=1, max_length=200)]
LONGEST_GROUP_NAME = 100
MOST_AT_ONCE = 100
"""The most members of each list of a change of a group. Each of their rows is projected before the answer."""
LongName = Annotated[str, Field(min_length=1, max_length=255)]


class NewServiceAccount(BaseModel):
    """A service account to create."""

    name: Name


class ServiceAccountChange(BaseModel):
    """Changes of a service account; omitted members stay unchanged."""

    name: Name | None = None
    disabled: bool | None = Field(default=None, description="While disabled, its keys are refused.")


class NewInvitation(BaseModel):
    """An invitation to create: address and role."""

    email: Annotated[str, Field(min_length=3, max_length=254)]
    role: Role = Role.MEMBER


class MemberChange(BaseModel):
    """The new role of a member."""

    role: Role


GroupName = Annotated[str, Field(min_length=1, max_length=LONGEST_GROUP_NAME)]
SomeMembers = Annotated[list[Annotated[MemberId, Field(max_length=30)]], Field(max_length=MOST_AT_ONCE)]


class NewGroup(BaseModel):
    """A group to create."""

    name: GroupName
    models: ModelRules | None = Field(default=None, description="Rules for the models of its members; null: none.")


class GroupChange(BaseModel):
    """Changes of a group; omitted members stay unchanged."""

    name: GroupName | None = None
    models: ModelRules | None = Field(
        default=None, description="Rules for the models of its members; null removes the rules."
    )


class GroupMembersChange(BaseModel):
    """Members to put into a group and to take out of it, by id, in one change."""

    add: SomeMembers = []
    remove: SomeMembers = []


class WorkspaceChange(BaseModel):
    """Changes of a workspace; omitted members stay unchanged."""

    name: LongName | None = None
    audit_retention_days: Annotated[int, Field(ge=1, le=MOST_AUDIT_DAYS)] | None = Field(
        default=None, description="At least 30. Needs `audit:retention`. A shorter time takes effect after a week."
    )


class NewDomain(BaseModel):
    """A mail domain to claim."""

    domain: Annotated[str, Field(min_length=3, max_length=253)]
    role: Role = Field(
        default=Role.MEMBER, description="`member` or `viewer`: the role of people who join by the domain."
    )
    auto_join: bool = Field(default=True, description="Whether people of the domain join as they sign in.")
