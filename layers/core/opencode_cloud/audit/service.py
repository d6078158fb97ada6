"""Record changes and their actors, in the transaction of the change itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from opencode_cloud.audit.models import AuditFilter, AuditRecord
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import log
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.audit.store import AuditArchive, AuditStore
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Connection


Subject = TypeVar("Subject")
WITHHELD = "[withheld]"
_CREDENTIAL = r"oc_sk_[A-Za-z0-9_-]{43}|eyJ[A-Za-z0-9_-]{1,500}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
"""Pattern of our keys and access tokens. The header of a token is bounded, so that the search is too."""

HOMELESS_DAYS = 365
"""Retention of entries of accounts, of operators and of deleted workspaces, which no workspace's setting covers."""

SHORTER_AFTER = timedelta(days=7)
"""Time from the shortening of a workspace's retention until entries are deleted by it."""


class AuditTrail:
    """Writes entries. Entries cannot be changed."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    def record(
        self,
        connection: Connection,
        actor: Actor,
        action: str,
        target: Target,
        *,
        workspace_id: WorkspaceId | None = None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        """Record that ``actor`` did ``action`` (``member.removed``, noun and past participle) to ``target``.

        ``before`` and ``after`` hold what changed, and never a secret. ``workspace_id`` is the actor's unless given.
        """
        self._store.add(connection, entry(actor, action, target, workspace_id=workspace_id, before=before, after=after))


class InTransaction(Protocol):
    """A unit of work. Its connection's writes are committed with it."""

    @property
    def connection(self) -> Connection:
        """Return the connection of the transaction."""
        ...


class Recorder(Generic[Subject]):
    """Records actions on one kind of thing, such as ``Recorder[Key](trail, "key", lambda row: row.id, ...)``."""

    def __init__(
        self, trail: AuditTrail, kind: str, id_of: Callable[[Subject], str], name_of: Callable[[Subject], str]
    ) -> None:
        """``kind`` is the kind of target that entries show; ``id_of`` and ``name_of`` return its id and name."""
        self._trail = trail
        self._kind = kind
        self._id_of = id_of
        self._name_of = name_of

    def __call__(
        self,
        unit: InTransaction,
        actor: Actor,
        action: str,
        workspace_id: WorkspaceId | None,
        subject: Subject,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        """Record in ``unit`` that ``actor`` did ``action`` to ``subject``, as :meth:`AuditTrail.record` does."""
        target = Target(self._kind, self._id_of(subject), self._name_of(subject))
        self._trail.record(
            unit.connection, actor, action, target, workspace_id=workspace_id, before=before, after=after
        )


def entry(
    actor: Actor,
    action: str,
    target: Target,
    *,
    workspace_id: WorkspaceId | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditRecord:
    """Return a new entry, dated now."""
    return AuditRecord(
        id=new_id("aud"),
        workspace_id=(workspace_id or actor.workspace_id) or None,
        at=utc_now(),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        credential=actor.credential,
        key_id=actor.key_id or None,
        action=action,
        target_kind=target.kind,
        target_id=target.id,
        target_name=target.name,
        before=_clean(before),
        after=_clean(after),
        address=actor.address,
        correlation_id=actor.correlation_id,
    )


def _clean(value: Any) -> Any:
    """Replace texts in the form of our secrets. Callers must not pass any; this guards against mistakes."""
    match value:
        case str():
            clean = re.sub(_CREDENTIAL, WITHHELD, value)
            if clean != value:
                logger.error("a secret was to be written to the audit trail and was withheld")
            return clean
        case dict():
            return {key: _clean(member) for key, member in cast("dict[str, Any]", value).items()}
        case list() | tuple():
            return [_clean(member) for member in cast("list[Any]", value)]
        case _:
            return value


class AuditReading:
    """Reads the trail, and deletes entries after their retention."""

    def __init__(self, archive: AuditArchive) -> None:
        self._archive = archive

    def find(
        self, workspace_id: WorkspaceId, entry_filter: AuditFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[AuditRecord]:
        """Return entries of a workspace, the newest first, that follow the key ``after`` (time, id)."""
        return self._archive.find(workspace_id, entry_filter, after, limit)

    def purge(self) -> int:
        """Delete entries that are older than their workspace keeps them; return how many. For a daily schedule.

        A shorter retention takes effect after ``SHORTER_AFTER``, so that owners can undo it.
        """
        now = utc_now()
        total = 0
        for workspace, days in self._archive.retentions(now - SHORTER_AFTER):
            before = now - timedelta(days=days)
            while purged := self._archive.purge(WorkspaceId(workspace), before):
                total += purged
        before = now - timedelta(days=HOMELESS_DAYS)
        while purged := self._archive.purge_homeless(before):
            total += purged
        log.count("AuditEntriesPurged", total)
        return total
