"""Request bodies of clients and the console: members, invitations and service accounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from opencode_cloud.contracts.permissions import Role

Name = Annotated[str, Field(min_length=1, max_length=200)]


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
