"""What clients and the console send about members, invitations and service accounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from opencode_cloud.contracts.permissions import Role

Name = Annotated[str, Field(min_length=1, max_length=200)]


class NewServiceAccount(BaseModel):
    """A service account to be made."""

    name: Name


class ServiceAccountChange(BaseModel):
    """What shall change; what is left out stays."""

    name: Name | None = None
    disabled: bool | None = Field(default=None, description="While disabled, its keys are refused.")


class NewInvitation(BaseModel):
    """Whom to invite, as what."""

    email: Annotated[str, Field(min_length=3, max_length=254)]
    role: Role = Role.MEMBER


class MemberChange(BaseModel):
    """What a member shall be."""

    role: Role
