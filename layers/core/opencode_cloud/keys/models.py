"""The nouns of keys and of provider credentials; and the errors of the feature."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opencode_cloud.contracts.ids import KeyId, MemberId, ServiceAccountId
from opencode_cloud.contracts.permissions import Scope
from opencode_cloud.kit.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable
from opencode_cloud.kit.moments import Instant
from opencode_cloud.kit.nouns import Noun


class Key(Noun):
    """A key as the API shows it: of the key itself only the first and last characters."""

    id: KeyId
    name: str
    prefix: str
    """First characters of the key."""
    suffix: str
    """Last characters of the key."""
    member_id: MemberId | None
    """Whose key it is, or"""
    service_account_id: ServiceAccountId | None
    """of what it is."""
    holder: str
    """Address of the member, or name of the service account."""
    scopes: list[Scope]
    models: list[str] | None
    """Patterns of the models it may use; null: all that the workspace's policy allows."""
    networks: list[str] | None
    """IP ranges it may be used from; null: any."""
    created_by: str
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None = None
    """To about five minutes."""
    revoked_at: Instant | None
    replaced_by: str | None
    """The key that a rotation made."""


class NewKey(Key):
    """A key just made, with the key itself: it is shown this once."""

    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a key. None is no bound."""

    scopes: frozenset[Scope]
    models: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What the table holds for the projection's sake: enough to find the key's row there."""

    id: KeyId
    digest: bytes


class Provider(StrEnum):
    """Whose models a credential is for."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OPENAI_COMPATIBLE = "openai-compatible"


class CheckResult(StrEnum):
    """What a provider answered to a credential."""

    WORKS = "works"
    REFUSED = "refused"
    """The provider does not accept the key."""
    LIMITED = "limited"
    """The provider knows the key and refuses more requests for now (rate or balance)."""
    UNREACHABLE = "unreachable"
    """Nobody answered at the address in time."""
    UNEXPECTED = "unexpected"
    """Something answered that is not the provider's list of models."""


class Credential(Noun):
    """A provider's key of the workspace; the key itself can be written and tested, never read."""

    id: str
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
    """There is no such key in the workspace, or it is not the caller's to see: the same answer."""
    return NotFound("key_not_found", "The workspace has no key with this id.")


def key_revoked() -> Conflict:
    """A revoked key cannot be changed or rotated."""
    return Conflict("key_revoked", "This key was revoked or has expired. Create a new one.")


def holder_not_found() -> NotFound:
    """There is no such service account."""
    return NotFound("service_account_not_found", "The workspace has no service account with this id.")


def wider_than_yourself(field: str) -> Forbidden:
    """A key tried to make a key that may do more than itself."""
    return Forbidden("wider_than_yourself", f"A key cannot make a key with wider rights than its own: `{field}`.")


def only_narrower(field: str) -> Unprocessable:
    """A key's limits were to be widened."""
    return Unprocessable("only_narrower", f"A key's limits can only be narrowed: `{field}`. Create a new key instead.")


def invalid_limit(field: str, reason: str) -> Unprocessable:
    """A limit makes no sense."""
    return Unprocessable("invalid_limit", f"`{field}`: {reason}.")


def not_your_key() -> Forbidden:
    """A key that acts for a person is made and renewed by that person."""
    return Forbidden("not_your_key", "Only its holder can rotate or change a member's key; you can revoke it.")


def too_many_keys(limit: int) -> Conflict:
    """A workspace has as many keys as it may."""
    return Conflict("too_many_keys", f"The workspace has {limit} keys, the most that it may. Revoke some.")


def credential_not_found() -> NotFound:
    """The workspace has no such provider credential."""
    return NotFound("credential_not_found", "The workspace has no provider credential with this id.")


def credential_exists() -> Conflict:
    """There is one of this name."""
    return Conflict(
        "credential_exists", "The workspace has a credential of this provider and name. Replace its key with PUT."
    )


def invalid_base_url(reason: str) -> Unprocessable:
    """A provider's address cannot be used."""
    return Unprocessable("invalid_base_url", f"`base_url` cannot be used: {reason}.")


def sealing_unavailable() -> Unavailable:
    """KMS did not answer, or refused."""
    return Unavailable("sealing_unavailable", "The key store cannot be reached now. Nothing was changed: try again.")
