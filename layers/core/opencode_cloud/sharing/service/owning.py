"""Shares with an owner: their terms, the claim of an anonymous share, changes and their end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import NotFound, ServiceError
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.parallel import pool
from opencode_cloud.kit.throttle import Throttle
from opencode_cloud.sharing.models import (
    LAST_MOMENT,
    ItemFindings,
    Listed,
    Mode,
    OwnerPanel,
    Ownership,
    RedactionMode,
    RedactionReport,
    Share,
    ShareCursor,
    ShareUpdate,
    contended,
    invalid_allowed_secrets,
    invalid_expiry,
    lifetime_not_allowed,
    mode_not_allowed,
    password_needed,
    share_not_found,
    sharing_off,
)
from opencode_cloud.sharing.protocol import tickets
from opencode_cloud.sharing.protocol.capability import Publisher, owner_publisher
from opencode_cloud.sharing.service.access import existing, is_over, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opencode_cloud.access.service import Access
    from opencode_cloud.audit.audit_queue import AuditQueue
    from opencode_cloud.contracts.access import KeyRefused, KnownWorkspace
    from opencode_cloud.contracts.ids import WorkspaceId
    from opencode_cloud.sharing.service.deletion import ShareDeletion
    from opencode_cloud.sharing.service.fan_out import FanOut
    from opencode_cloud.sharing.store import ShareStore, Tasks

REFUSALS = frozenset({"not_permitted", "owner_has_left", "sharing_off"})
"""Codes of refusals by a policy or a permission, which admins can look up."""
_ALLOWED = r"[a-z0-9][a-z0-9-]{0,63}(?:/[0-9a-f]{8})?"  # compiled at the first use, since few owners list any
MOST_ALLOWED = 100
"""Entries of the list of secrets that a share may show."""
REFUSALS_A_MINUTE = 5
"""Refusals of one share by one rule that a process keeps in a minute."""
PAGE = 50  # shares in one page of a list: with their counters as many rows as DynamoDB returns in one round trip


class Terms(msgspec.Struct, frozen=True):
    """The prospective owner of a share and the policy that applies."""

    actor: Actor
    workspace: KnownWorkspace

    @property
    def owner(self) -> str:
        """Return the id of the person or the service account."""
        return owner_of(self.actor)

    @property
    def publisher(self) -> Publisher:
        """Return the publisher under which the owner's shares of sessions are found."""
        return owner_publisher(self.workspace.id, self.owner)

    def latest_end(self, begin: int) -> int | None:
        """Return the latest permitted end of a share that begins at ``begin`` (seconds since the epoch)."""
        longest = self.workspace.policy.share_lifetime_seconds
        return begin + longest if longest else None


def owner_of(actor: Actor) -> str:
    """Return the id under which ``actor`` owns shares: a person's account for any credential, or a service account."""
    return actor.account_id or actor.id


class Owning:
    """The operations of owners and of admins of a workspace. Every one is recorded in the audit trail."""

    def __init__(self, store: ShareStore, access: Access, fan_out: FanOut, audit: AuditQueue) -> None:
        self._store = store
        self._access = access
        self._fan_out = fan_out
        self._audit = audit
        self._throttle = Throttle(REFUSALS_A_MINUTE)

    # ---------------------------------------------------------------------------------------- beginning

    def terms(self, actor: Actor) -> Terms:
        """Return the terms under which ``actor`` may share now; raises ``sharing_off`` (403)."""
        workspace = self._access.workspace(actor.workspace_id)
        if workspace is None or narrowed(Mode.LINK, workspace) is None:
            raise sharing_off()
        return Terms(actor, workspace)

    def owned(self, share: Share, terms: Terms) -> Share:
        """Return ``share`` under ``terms``: as wide as the policy allows, and ending when the policy demands."""
        latest = terms.latest_end(now_seconds())
        ends = [end for end in (share.expires_at, latest) if end is not None]
        return msgspec.structs.replace(share, ownership=_ownership(terms), expires_at=min(ends) if ends else None)

    def record_new(self, share: Share, terms: Terms) -> None:
        """Record the creation of a share in the audit trail."""
        self._record(terms.actor, "share.created", share, after=_visible(share))

    def claim(self, share: Share, terms: Terms, session_hash: str, family: str) -> Share:
        """Give a share without an owner its owner, and return it. The first of two concurrent claims wins.

        The caller must have checked the share's secret. The claim moves the share to the owner's ``session_hash`` and
        ``family``. The secret needs a login until create has replaced it. Viewers who lose access are disconnected.
        """
        owned = self.owned(share, terms)
        if owned.ownership is None:
            raise ValueError("terms give an owner")
        claimed = msgspec.structs.replace(owned, session_hash=session_hash, family=family, needs_login=True)
        if not self._store.claim(share, claimed):
            current = existing(self._store, share.id, self._store.share(share.id))
            if current.ownership is None:
                raise contended()
            return current
        if owned.ownership.mode is not Mode.LINK:
            self._fan_out.disconnect(share.id, self._store.viewers(share.id))
        self._record(terms.actor, "share.claimed", claimed, before={"owner": None}, after=_visible(claimed))
        return claimed

    # --------------------------------------------------------------------------------------- governing

    def page(
        self, actor: Actor, *, own: bool, limit: int, after: ShareCursor | None
    ) -> tuple[list[Listed], ShareCursor | None]:
        """Return a page of shares, newest first, and the position of the next page.

        ``own`` limits it to the actor's own shares; otherwise it lists all shares that the actor may manage.
        """
        owner = owner_of(actor) if own or not actor.may(Permission.SHARE_MANAGE) else None
        ids, following = self._store.shares_in(actor.workspace_id, owner, min(limit, PAGE), after)
        # An expired share stays in the index until the schedule has removed it.
        return [listed for listed in self._store.listed(ids) if not is_over(listed.share)], following

    def get(self, actor: Actor, share_id: ShareId) -> Listed:
        """Return a share that the actor owns or may manage; raises ``share_not_found`` for all others."""
        listed = next(iter(self._store.listed([share_id])), None)
        if listed is None or is_over(listed.share) or not governs(actor, listed.ownership):
            raise share_not_found()
        return listed

    def change(self, actor: Actor, share_id: ShareId, change: ShareUpdate) -> Listed:
        """Change the audience of a share, or its end.

        A change of mode or password makes every ticket void and closes the sockets of all viewers; those who still have
        access reconnect with new tickets. Raises ``share_not_found`` (404); ``sharing_off``, ``mode_not_allowed`` or
        ``lifetime_not_allowed`` (403); ``invalid_password`` or ``invalid_expiry`` (400); ``contended`` (503).
        """
        listed = self.get(actor, share_id)
        terms = self.terms(actor)
        ownership = _changed(listed.ownership, change, terms.workspace)
        if change.allowed_secrets is not None:
            ownership = msgspec.structs.replace(ownership, allowed_secrets=_allowed(change.allowed_secrets))
        if change.comments is not None:
            ownership = msgspec.structs.replace(ownership, comments=change.comments)
        expires_at = _changed_end(listed.share, change, terms)
        if not self._store.change(listed.share, ownership, expires_at):
            raise contended()
        # A new key makes the tickets of open sockets void, so their access must be checked again.
        if ownership.ticket_key != listed.ownership.ticket_key:
            self._fan_out.disconnect(share_id, self._store.viewers(share_id))
        changed = msgspec.structs.replace(listed.share, ownership=ownership, expires_at=expires_at)
        before, after = _visible(listed.share), _visible(changed)
        if change.password is not None:
            after["password_changed"] = True
        action = "share.mode_changed" if before["mode"] != after["mode"] else "share.updated"
        self._record(actor, action, changed, before=before, after=after)
        return Listed(share=changed, ownership=ownership, views=listed.views)

    def panel(self, actor: Actor, share_id: ShareId) -> OwnerPanel:
        """Return the facts for the owner's panel; raises ``share_not_found`` (404)."""
        viewers, findings = pool().submit(self._store.count_viewers, share_id), pool().submit(self._report, share_id)
        listed = self.get(actor, share_id)
        report = self._reported(listed, findings.result())
        return OwnerPanel(listed=listed, viewers=viewers.result().viewers, report=report)

    def report(self, actor: Actor, share_id: ShareId) -> RedactionReport:
        """Return what was found in a share; raises ``share_not_found`` (404)."""
        listed = self.get(actor, share_id)
        return self._reported(listed, self._report(share_id))

    def _report(self, share_id: ShareId) -> tuple[ItemFindings, ...]:
        return tuple(sorted(self._store.findings(share_id), key=lambda each: (-each.at, each.key)))

    def _reported(self, listed: Listed, items: tuple[ItemFindings, ...]) -> RedactionReport:
        workspace = self._access.workspace(listed.ownership.workspace_id)
        mode = RedactionMode(workspace.policy.share_redaction) if workspace else RedactionMode.ON
        return RedactionReport(mode=mode, items=items, allowed=listed.ownership.allowed_secrets)

    def rescan(self, actor: Actor, share_id: ShareId, tasks: Tasks) -> None:
        """Have a share searched for secrets by the present rules; raises ``share_not_found`` (404)."""
        listed = self.get(actor, share_id)
        tasks.rescan(share_id)
        self._record(actor, "share.rescanned", listed.share)

    def revoke_one(self, actor: Actor, share_id: ShareId, deletion: ShareDeletion) -> None:
        """Remove a share without its secret; raises ``share_not_found`` (404)."""
        listed = self.get(actor, share_id)
        deletion.delete(listed.share, "revoked")
        self._record(actor, "share.revoked", listed.share, before=_visible(listed.share))

    def revoke(
        self, actor: Actor, share_ids: Sequence[ShareId], deletion: ShareDeletion
    ) -> tuple[list[ShareId], list[ShareId]]:
        """Remove shares without their secrets. Return the ids of the removed shares, and of those not found."""
        revoked: list[ShareId] = []
        missing: list[ShareId] = []
        # A repeated id must not count as missing after its first removal.
        for share_id in dict.fromkeys(share_ids):
            try:
                self.revoke_one(actor, share_id, deletion)
            except NotFound:
                missing.append(share_id)
            else:
                revoked.append(share_id)
        return revoked, missing

    def record_unshared(self, share: Share, actor: Actor | None, address: str) -> None:
        """Record in the audit trail that a share with an owner was removed by its secret, with the sender if known."""
        if share.ownership is not None:
            recorded_actor = actor or Actor(kind=ActorKind.ANONYMOUS, credential=CredentialKind.NONE, address=address)
            self._record(recorded_actor, "share.revoked", share, before=_visible(share))

    def record_refused(
        self,
        error: ServiceError,
        share_id: ShareId | None,
        sender_of: Callable[[], Actor | None] = lambda: None,
        address: str = "",
    ) -> None:
        """Log, and record in the audit trail, that a policy or a permission refused to share. Ignore other errors.

        ``sender_of`` authenticates the sender, which takes a round trip. Without a sender, the workspace is that of the
        share.
        """
        if error.code not in REFUSALS:
            return
        actor = sender_of()
        share = self._store.share(share_id) if share_id is not None else None
        ownership = share.ownership if share else None
        workspace_id = actor.workspace_id if actor else ownership.workspace_id if ownership else None
        if workspace_id is None:
            return
        correlation_id = logger.get_correlation_id()
        sender = actor or Actor(kind=ActorKind.ANONYMOUS, address=address, correlation_id=correlation_id)
        target = Target("share", share_id or "", ownership.title if ownership else "")
        self._keep_refusal(sender, workspace_id, target, error.code, error.status, error.message)

    def record_refused_key(self, refused: KeyRefused) -> None:
        """Log, and record in the audit trail, that a key is refused by its expiry, its networks or its holder."""
        target = Target("key", refused.key.id, refused.key.name)
        workspace_id = refused.key.workspace_id
        self._keep_refusal(refused.actor, workspace_id, target, refused.rule, refused.status, refused.reason)

    def _keep_refusal(
        self, sender: Actor, workspace_id: WorkspaceId, target: Target, rule: str, status: int, reason: str
    ) -> None:
        logger.info(
            "a share is refused",
            extra={
                "workspace": workspace_id,
                "key": sender.key_id,
                "member": sender.id,
                "rule": rule,
                "status": int(status),
            },
        )
        # Clients sync every second, so only some refusals of a minute are kept.
        if self._throttle.admits(f"{workspace_id}/{target.id or sender.id}/{rule}"):
            facts = {"rule": rule, "status": int(status), "reason": reason}
            self._audit.record(sender, "share.refused", target, workspace_id=workspace_id, after=facts)

    def _record(
        self,
        actor: Actor,
        action: str,
        share: Share,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        ownership = share.ownership
        if ownership is None:
            return
        target = Target("share", share.id, ownership.title)
        self._audit.record(actor, action, target, workspace_id=ownership.workspace_id, before=before, after=after)


def _ownership(terms: Terms) -> Ownership:
    mode = narrowed(Mode.LINK, terms.workspace)
    if mode is None:
        raise sharing_off()
    return Ownership(owner=terms.owner, workspace_id=terms.workspace.id, mode=mode, ticket_key=tickets.new_key())


def governs(actor: Actor, ownership: Ownership) -> bool:
    """Tell whether ``actor`` owns a share, or may manage all shares of its workspace."""
    if ownership.workspace_id != actor.workspace_id:
        return False
    return ownership.owner == owner_of(actor) or actor.may(Permission.SHARE_MANAGE)


def _changed(ownership: Ownership, change: ShareUpdate, workspace: KnownWorkspace) -> Ownership:
    """Return the ownership after ``change``, with a new ticket key if the audience differs."""
    mode = change.mode or ownership.mode
    # Accept an unchanged mode even under a stricter policy: each read applies the policy anyway.
    if mode is not ownership.mode and narrowed(mode, workspace) is not mode:
        raise mode_not_allowed(mode)
    has_password = change.password is not None or (bool(ownership.password_hash) and mode is ownership.mode)
    if has_password is not (mode is Mode.PASSWORD):
        raise password_needed()
    if mode is ownership.mode and change.password is None:
        return ownership
    hashed = tickets.hash_password(change.password) if change.password is not None else ""
    return msgspec.structs.replace(ownership, mode=mode, password_hash=hashed, ticket_key=tickets.new_key())


def _allowed(secrets: tuple[str, ...]) -> tuple[str, ...]:
    if len(secrets) > MOST_ALLOWED or not all(re.fullmatch(_ALLOWED, each) for each in secrets):
        raise invalid_allowed_secrets()
    return tuple(dict.fromkeys(secrets))


def _changed_end(share: Share, change: ShareUpdate, terms: Terms) -> int | None:
    if change.expires_at is None:
        return share.expires_at
    # 0 removes the end.
    expires_at = change.expires_at or None
    if expires_at is not None and not now_seconds() < expires_at <= LAST_MOMENT:
        raise invalid_expiry()
    longest = terms.workspace.policy.share_lifetime_seconds
    # Count from the creation, so that repeated changes cannot extend the lifetime.
    latest = terms.latest_end(share.created_at // 1000)
    if longest and latest is not None and (expires_at is None or expires_at > latest):
        raise lifetime_not_allowed(longest)
    return expires_at


def _visible(share: Share) -> dict[str, Any]:
    """Return the attributes of a share that an entry of the audit trail shows."""
    ownership = share.ownership
    return {
        "owner": ownership.owner if ownership else None,
        "mode": ownership.mode.value if ownership else Mode.LINK.value,
        "expires_at": share.expires_at,
        "comments": ownership.comments if ownership else None,
        "allowed_secrets": list(ownership.allowed_secrets) if ownership else [],
    }
