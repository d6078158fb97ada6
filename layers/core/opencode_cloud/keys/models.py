"""Models of keys and of provider credentials; and the errors of the feature."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import CredentialId, KeyId, MemberId, ServiceAccountId
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable
from opencode_cloud.kit.etags import tag_of
from opencode_cloud.kit.instants import Instant


class Key(ApiModel):
    """A key as the API shows it, with only the first and last characters of the secret."""

    id: KeyId
    name: str
    prefix: str
    """First characters of the key."""
    suffix: str
    """Last characters of the key."""
    member_id: MemberId | None
    """The member who holds the key, or None for a key of a service account."""
    service_account_id: ServiceAccountId | None
    """The service account that holds the key, or None for a key of a member."""
    holder: str
    """Address of the member, or name of the service account."""
    scopes: list[KeyScope]
    models: list[str] | None
    """Patterns of the models that the key may use; null: all that the workspace's policy allows."""
    networks: list[str] | None
    """IP ranges from which the key may be used; null: any."""
    created_by: str
    creator_left: bool = False
    """True when the person who created the key, or the first of a chain of keys, is no longer a member."""
    made_by_key_id: KeyId | None = None
    """The key that made this one, or null if a person made it. It ends with that key."""
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None = None
    """Time of the last use, to about five minutes."""
    revoked_at: Instant | None
    replaced_by: str | None
    """Id of the key that replaced this one in a rotation."""

    @property
    def tag(self) -> str:
        """The entity tag. Uses of the key do not change it."""
        limits = (self.scopes, self.models, self.networks, self.expires_at)
        return tag_of(self.id, self.name, *limits, self.revoked_at, self.replaced_by)


class NewKey(Key):
    """A newly created key with its secret, which is shown only once."""

    secret: str


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a key. None means no limit."""

    scopes: frozenset[KeyScope]
    models: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    expires_at: datetime | None = None


class StoredKey(msgspec.Struct, frozen=True):
    """The columns that locate a key's row in the projection."""

    id: KeyId
    digest: bytes


class KeyOrigin(msgspec.Struct, frozen=True):
    """The person behind a new key, and the key that makes it."""

    member_id: MemberId | None
    key_id: KeyId | None


class Provider(StrEnum):
    """A model provider, or the kind of its API."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OPENAI_COMPATIBLE = "openai-compatible"


class CheckResult(StrEnum):
    """Result of testing a credential with its provider."""

    WORKS = "works"
    REFUSED = "refused"
    """The provider does not accept the key."""
    LIMITED = "limited"
    """The provider knows the key and refuses more requests for now (rate or balance)."""
    UNREACHABLE = "unreachable"
    """No answer came from the address in time."""
    UNEXPECTED = "unexpected"
    """The answer was not a list of models."""


class ProviderCredential(ApiModel):
    """A workspace's key of a model provider. The secret can be written and tested, never read."""

    id: CredentialId
    provider: Provider
    name: str
    base_url: str | None
    suffix: str
    """Last characters of the key, to tell keys apart."""
    created_by: str
    created_at: Instant
    updated_at: Instant
    tested_at: Instant | None
    test_result: CheckResult | None


def key_not_found() -> NotFound:
    """The workspace has no such key, or the caller may not see it. Both cases get the same answer."""
    return NotFound("key_not_found", "The workspace has no key with this id.")


def key_revoked() -> Conflict:
    """A revoked key cannot be changed or rotated."""
    return Conflict("key_revoked", "This key was revoked or has expired. Create a new one.")


def holder_not_found() -> NotFound:
    """The workspace has no such service account."""
    return NotFound("service_account_not_found", "The workspace has no service account with this id.")


def wider_than_yourself(field: str) -> Forbidden:
    """A key attempted to create a key with wider rights than its own."""
    return Forbidden("wider_than_yourself", f"A key cannot make a key with wider rights than its own: `{field}`.")


def only_narrower(field: str) -> Unprocessable:
    """The change would widen a key's limits."""
    return Unprocessable("only_narrower", f"A key's limits can only be narrowed: `{field}`. Create a new key instead.")


def invalid_limit(field: str, reason: str) -> Unprocessable:
    """A limit is invalid."""
    return Unprocessable("invalid_limit", f"`{field}`: {reason}.")


def not_your_key() -> Forbidden:
    """Only the holder may change or rotate a member's key."""
    return Forbidden("not_your_key", "Only its holder can rotate or change a member's key; you can revoke it.")


def too_many_keys(limit: int) -> Conflict:
    """The workspace has the largest permitted number of keys."""
    return Conflict("too_many_keys", f"The workspace has {limit} keys, the most that it may. Revoke some.")


def credential_not_found() -> NotFound:
    """The workspace has no such provider credential."""
    return NotFound("credential_not_found", "The workspace has no provider credential with this id.")


def credential_exists() -> Conflict:
    """The workspace already has a credential of this provider and name."""
    return Conflict(
        "credential_exists", "The workspace has a credential of this provider and name. Replace its key with PUT."
    )


def invalid_base_url(reason: str) -> Unprocessable:
    """A provider's address cannot be used."""
    return Unprocessable("invalid_base_url", f"`base_url` cannot be used: {reason}.")


def sealing_unavailable() -> Unavailable:
    """KMS did not answer, or refused the request."""
    return Unavailable("sealing_unavailable", "The key store cannot be reached now. Nothing was changed: try again.")
