"""Request bodies for publishing policies and configuration documents."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opencode_cloud.policies.models import Policy

Comment = Annotated[str, Field(max_length=255, description="The reason for the change, shown in the list of versions.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    comment: Comment = ""


class PolicyChange(_Body):
    """A policy to publish."""

    policy: Policy


class ConfigurationChange(_Body):
    """A configuration document to publish."""

    configuration: dict[str, Any] = Field(
        description="A configuration of opencode, as in `opencode.json`, without secrets: `{env:NAME}` in their place."
    )


class Restoration(_Body):
    """The restoration of an older version."""
