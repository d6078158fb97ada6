"""Recording who changed what, in the transaction of the change itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.audit.models import Entry, Target
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id

if TYPE_CHECKING:
    from opencode_cloud.audit.store import AuditStore
    from opencode_cloud.kit.actor import Actor
    from opencode_cloud.kit.sql import Connection


class AuditTrail:
    """Writes entries; there is no way to change one."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    def record(
        self,
        connection: Connection,
        actor: Actor,
        action: str,
        target: Target,
        *,
        workspace: str | None = None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        """Record that ``actor`` did ``action`` (``member.removed``, noun and past participle) to ``target``.

        ``before`` and ``after`` hold what changed, and never a secret. ``workspace`` is the actor's unless given.
        """
        self._store.add(connection, entry(actor, action, target, workspace=workspace, before=before, after=after))


def entry(
    actor: Actor,
    action: str,
    target: Target,
    *,
    workspace: str | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Entry:
    """Return a new entry, dated now."""
    return Entry(
        id=new_id("aud"),
        workspace_id=(workspace or actor.workspace) or None,
        at=utc_now(),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        credential=actor.credential,
        key_id=actor.key or None,
        action=action,
        target_kind=target.kind,
        target_id=target.id,
        target_name=target.name,
        before=before,
        after=after,
        address=actor.address,
        correlation_id=actor.correlation_id,
    )
