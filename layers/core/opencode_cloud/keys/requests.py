"""Request bodies of clients and the console about keys and provider credentials."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from opencode_cloud.contracts.ids import ServiceAccountId
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.keys.limits import MOST_ENTRIES
from opencode_cloud.keys.models import Provider
from opencode_cloud.kit.instants import Instant

LONGEST_OVERLAP = timedelta(days=7)
Name = Annotated[str, Field(min_length=1, max_length=255)]
Scopes = Annotated[list[KeyScope], Field(min_length=1, max_length=3)]
Models = Annotated[
    list[Annotated[str, Field(max_length=200)]],
    Field(min_length=1, max_length=MOST_ENTRIES, description="Patterns such as `anthropic/*`."),
]
Networks = Annotated[
    list[Annotated[str, Field(max_length=50)]],
    Field(min_length=1, max_length=MOST_ENTRIES, description="IP ranges such as `203.0.113.0/24`."),
]

Secret = Annotated[
    str,
    Field(
        min_length=8,
        max_length=4096,
        pattern=r"^[\x21-\x7e]+$",
        description="The provider's key. It is stored encrypted and never shown again.",
    ),
]
BaseUrl = Annotated[
    str | None, Field(max_length=2048, description="Base address of the API, if it is not the provider's default.")
]


class KeyRequest(BaseModel):
    """A key to create."""

    name: Name
    scopes: Scopes = [KeyScope.INFERENCE]
    service_account_id: ServiceAccountId | None = Field(
        default=None,
        max_length=30,
        description="The service account that will hold the key; by default you.",
    )
    models: Models | None = None
    networks: Networks | None = None
    expires_at: Instant | None = None


class KeyChange(BaseModel):
    """Changes of a key; omitted members stay unchanged. Limits can only be narrowed."""

    name: Name | None = None
    scopes: Scopes | None = None
    models: Models | None = None
    networks: Networks | None = None
    expires_at: Instant | None = None


class Rotation(BaseModel):
    """Options of a key's rotation."""

    overlap_seconds: int = Field(
        default=3600,
        ge=0,
        le=int(LONGEST_OVERLAP.total_seconds()),
        description="Seconds for which the old key still works.",
    )


class NewCredential(BaseModel):
    """A provider's key to store."""

    provider: Provider
    name: Annotated[str, Field(min_length=1, max_length=255)] = "default"
    secret: Secret
    base_url: BaseUrl = None


class CredentialReplacement(BaseModel):
    """The provider's key that replaces the stored one, and the base address of the API."""

    secret: Secret
    base_url: BaseUrl = None
