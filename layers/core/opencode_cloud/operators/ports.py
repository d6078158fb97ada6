"""Interfaces to other features that the operators' commands use; ``composition`` provides the implementations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from opencode_cloud.contracts.ids import AccountId

if TYPE_CHECKING:
    from opencode_cloud.identity.models import Account, VerifiedPerson
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.operators.store.directory import FoundPerson, FoundWorkspace


class AccountDirectory(Protocol):
    """Accounts. Each method runs in the transaction of ``connection``."""

    def get(self, connection: Connection, account_id: AccountId, /) -> Account | None:
        """Return an account by id, and lock it until the transaction ends."""
        ...

    def by_address(self, connection: Connection, address: str, /) -> Account | None:
        """Return an account by address."""
        ...

    def add(self, connection: Connection, person: VerifiedPerson, /) -> Account | None:
        """Create an account; return None when a concurrent transaction has created one with this address."""
        ...

    def block(self, connection: Connection, account_id: AccountId, /, *, blocked: bool) -> None:
        """Block an account, or unblock it."""
        ...

    def count(self, connection: Connection, /) -> int:
        """Return the number of accounts."""
        ...


class TokenSigners(Protocol):
    """The deployment's signing keys of access tokens."""

    @property
    def ids(self) -> Sequence[str]:
        """Return the ids of all keys."""
        ...

    def active_now(self) -> str:
        """Return the id of the active key, read without a cache."""
        ...

    def activate(self, key: str, /) -> None:
        """Make the key with this id the active one."""
        ...


class DirectorySearch(Protocol):
    """Searches all workspaces and people, the newest first. A page has one entry more if others follow it."""

    def workspaces(self, words: str, after: str, /) -> Sequence[FoundWorkspace]:
        """Return workspaces after the one with the id ``after``."""
        ...

    def people(self, words: str, after: str, /) -> Sequence[FoundPerson]:
        """Return people after the one with the id ``after``."""
        ...
