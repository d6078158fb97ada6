"""Authorization of shares: all decisions about who may do what are made here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.access.service import AccessRequest, proof_of
from opencode_cloud.contracts.access import login_required
from opencode_cloud.contracts.ids import ShareId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Forbidden, NotFound, ServiceError, Unauthorized
from opencode_cloud.kit.networks import network_of, site_of
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.sharing.models import (
    Mode,
    RedactionMode,
    Share,
    State,
    missing_secret,
    owner_has_left,
    password_required,
    share_gone,
    share_not_found,
    sharing_off,
    too_many_attempts,
    wrong_password,
    wrong_secret,
)
from opencode_cloud.sharing.protocol import tickets
from opencode_cloud.sharing.protocol.capability import is_secret_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.access import KnownWorkspace, RedactionPattern
    from opencode_cloud.sharing.models import Viewer
    from opencode_cloud.sharing.store import ShareStore

ATTEMPT_SECONDS = 60
ATTEMPTS_OF_NETWORK = 10
"""Passwords that one network (an IPv4 address, an IPv6 /64) may try for one share in a minute."""
ATTEMPTS_OF_SITE = 30
"""Passwords that one site (an IPv4 /24, an IPv6 /48) may try for one share in a minute."""
ATTEMPTS_OF_ALL = 300
"""Passwords that all may try for one share in a minute. Only ten sites together can use them up."""
ATTEMPTS_OF_BROWSER = 10
"""Passwords that a browser with a ticket for the present password, even an expired one, may try in a minute."""


def is_over(share: Share) -> bool:
    """Tell whether a share was removed or has expired."""
    return share.state is State.GONE or (share.expires_at is not None and share.expires_at <= now_seconds())


def existing(store: ShareStore, share_id: ShareId, share: Share | None) -> Share:
    """Return the share if it exists and has not ended, regardless of its audience.

    Raises :class:`~opencode_cloud.kit.errors.Gone` for a share that has ended and
    :class:`~opencode_cloud.kit.errors.NotFound` for one that never existed.
    """
    if share is None:
        raise share_gone() if store.tombstone(share_id) else share_not_found()
    if is_over(share):
        raise share_gone()
    return share


def writable(store: ShareStore, share_id: ShareId, share: Share | None, secret: str, sender: str = "") -> Share:
    """Return the share if ``secret`` may write it. Raise as :func:`existing` and :func:`check_secret` do."""
    share = existing(store, share_id, share)
    check_secret(share, secret, sender)
    return share


def check_secret(share: Share, secret: str, sender: str = "") -> None:
    """Raise :class:`~opencode_cloud.kit.errors.Unauthorized` without a secret, ``Forbidden`` for a wrong one.

    ``sender`` is the signed-in owner id, empty without a login. A secret from before a claim counts for the owner only.
    """
    if not secret:
        raise missing_secret()
    if not is_secret_of(share, secret):
        raise wrong_secret()
    if share.needs_login and (share.ownership is None or share.ownership.owner != sender):
        raise wrong_secret()


def narrowed(mode: Mode, workspace: KnownWorkspace | None) -> Mode | None:
    """Return the audience of a share of ``mode`` under the workspace's present policy; None for an empty audience.

    A stricter policy also applies to shares that were made before it.
    """
    if workspace is None or workspace.policy.share_mode == "off":
        return None
    return Mode.WORKSPACE if workspace.policy.share_mode == "workspace" else mode


class Visitor(msgspec.Struct, frozen=True):
    """The credentials of a request to read: those of a person or key, a ticket, or none."""

    request: AccessRequest = msgspec.field(default_factory=AccessRequest)
    ticket: str = ""

    @property
    def is_signed_in(self) -> bool:
        """Tell whether the request carries credentials, valid or not."""
        return bool(self.request.bearer or self.request.cookie)


class Admission(msgspec.Struct, frozen=True):
    """A share that may be read, its audience, and the proof: a credential, or empty for the password alone."""

    share: Share
    mode: Mode = Mode.LINK
    proof: str = ""

    def ticket(self) -> str:
        """Return a ticket for the page's next requests; empty if none is needed."""
        ownership = self.share.ownership
        if ownership is None or self.mode is Mode.LINK:
            return ""
        return tickets.write(ownership.ticket_key, self.share.id, self.proof)


class PublishingRules(msgspec.Struct, frozen=True):
    """The audience of what is published to a share now, and the treatment of secrets in it."""

    mode: Mode = Mode.LINK
    redaction: RedactionMode | None = None
    """None: as the deployment says for shares without a workspace."""
    patterns: tuple[RedactionPattern, ...] = ()


class ShareAccess:
    """Admits readers and publishers, by the share's mode and the present policy of its workspace.

    A share without an owner needs no read besides its own row.
    """

    def __init__(self, store: ShareStore, access: Access) -> None:
        self._store = store
        self._access = access

    def admit(self, share_id: ShareId, share: Share | None, visitor: Visitor) -> Admission:
        """Return the share if ``visitor`` may read it.

        Raises as :func:`existing` does; ``login_required`` or ``password_required`` (401) without a valid credential;
        and ``share_not_found`` (404) for signed-in visitors without access, as for a share that does not exist.
        """
        share = existing(self._store, share_id, share)
        mode = self.audience(share)
        if mode is Mode.LINK:
            return Admission(share)
        if mode is None:
            raise share_not_found()
        return Admission(share, mode, self._proof(share, mode, visitor))

    def audience(self, share: Share) -> Mode | None:
        """Return the present audience of ``share``; None for an empty one."""
        if share.ownership is None:
            return Mode.LINK
        return narrowed(share.ownership.mode, self._access.workspace(share.ownership.workspace_id))

    def publishing_rules(self, share: Share) -> PublishingRules:
        """Return the rules for what is published to ``share`` now.

        Raises ``owner_has_left`` or ``sharing_off`` (403): a secret outlives neither membership nor policy.
        """
        ownership = share.ownership
        if ownership is None:
            return PublishingRules()
        # The secret outlives the request, so look up owner, membership and policy each time (docs/decisions/007).
        workspace = self._access.workspace_permitting(ownership.owner, ownership.workspace_id, Permission.SHARE_OWN)
        if workspace is None:
            raise owner_has_left()
        mode = narrowed(ownership.mode, workspace)
        if mode is None:
            raise sharing_off()
        policy = workspace.policy
        return PublishingRules(mode, RedactionMode(policy.share_redaction), policy.share_patterns)

    def rules(self, share: Share) -> PublishingRules:
        """Return the rules of the share's workspace now. Its owner may have left."""
        if share.ownership is None:
            return PublishingRules()
        workspace = self._access.workspace(share.ownership.workspace_id)
        if workspace is None:
            return PublishingRules(redaction=RedactionMode.OFF)
        policy = workspace.policy
        return PublishingRules(share.ownership.mode, RedactionMode(policy.share_redaction), policy.share_patterns)

    def watching(self, share: Share, viewers: Sequence[Viewer], mode: Mode | None) -> list[Viewer]:
        """Return the ``viewers`` who may receive the next push (invariant I9).

        Their tickets are verified again, including expired ones, and the credentials behind the tickets are looked up:
        a viewer who has left the workspace or signed out receives nothing more. Public shares need no look-up.
        """
        ownership = share.ownership
        if ownership is None or mode is Mode.LINK:
            return list(viewers)
        if mode is None:
            return []
        # The row of an unchecked resume keeps its ticket as sent, so verify it before each push (docs/decisions/007).
        # Accept expired tickets here, because a socket stays open longer than a ticket is valid.
        read_tickets = [tickets.read(ownership.ticket_key, share.id, viewer.ticket, aged=True) for viewer in viewers]
        proofs = list({ticket.proof for ticket in read_tickets if ticket and ticket.proof})
        holdings = parallel_map(lambda proof: self._holds(proof, ownership.workspace_id), proofs)
        allowed = {proof for proof, holds in zip(proofs, holdings, strict=True) if holds}
        if mode is Mode.PASSWORD:
            # A ticket without a proof was issued for the password.
            allowed.add("")
        return [
            viewer for viewer, ticket in zip(viewers, read_tickets, strict=True) if ticket and ticket.proof in allowed
        ]

    def unlock(self, share_id: ShareId, password: str, address: str, ticket: str = "") -> str:
        """Return a ticket for the password; empty if none is needed.

        ``ticket`` is the browser's ticket of an earlier entry, even an expired one. Strangers cannot use up the
        attempts of such a browser.
        Raises ``wrong_password`` (403), or ``too_many_attempts`` (429) before the password is checked.
        """
        share = existing(self._store, share_id, self._store.share(share_id))
        mode = self.audience(share)
        if mode is Mode.LINK:
            return ""
        if mode is not Mode.PASSWORD or share.ownership is None:
            raise share_not_found()
        # Count before hashing: a check takes 25 ms of processor time (docs/decisions/007).
        earlier = tickets.read(share.ownership.ticket_key, share_id, ticket, aged=True) if ticket else None
        by_password = earlier if earlier and not earlier.proof else None
        self._limit_attempts(share_id, _bounds_of_entry(by_password) if by_password else _bounds_of_address(address))
        if not tickets.is_password(password, share.ownership.password_hash):
            raise wrong_password()
        return tickets.write(share.ownership.ticket_key, share_id, seconds=tickets.UNLOCK_SECONDS)

    def _limit_attempts(self, share_id: ShareId, bounds: Mapping[str, int]) -> None:
        """Count one attempt for each of the ``bounds``, the narrowest first.

        A refused attempt does not count for the bounds after it. So one network uses up only its own attempts.
        """
        for subject, bound in bounds.items():
            count = self._store.count(f"unlock#{share_id}{subject}", ATTEMPT_SECONDS)
            if count.events > bound:
                raise too_many_attempts(count.reset)

    def _proof(self, share: Share, mode: Mode, visitor: Visitor) -> str:
        """Return the name of the visitor's valid credential; empty for the password alone."""
        ownership = share.ownership
        if ownership is None:
            raise share_not_found()
        ticket = tickets.read(ownership.ticket_key, share.id, visitor.ticket) if visitor.ticket else None
        if ticket and not ticket.proof and mode is Mode.PASSWORD:
            return ""
        if ticket and ticket.proof and self._holds(ticket.proof, ownership.workspace_id):
            return ticket.proof
        refused = password_required() if mode is Mode.PASSWORD else login_required()
        if not visitor.is_signed_in:
            raise refused
        try:
            actor = self._access.member(visitor.request, ownership.workspace_id, Permission.SHARE_VIEW)
        except Unauthorized:
            raise refused from None
        except (NotFound, Forbidden):
            # A person from outside the workspace may still know the password. Otherwise hide the share.
            raise (refused if mode is Mode.PASSWORD else share_not_found()) from None
        return proof_of(visitor.request, actor)

    def _holds(self, proof: str, workspace_id: WorkspaceId) -> bool:
        try:
            self._access.member(AccessRequest(proven=proof), workspace_id, Permission.SHARE_VIEW)
        except ServiceError:
            return False
        return True


def _bounds_of_address(address: str) -> Mapping[str, int]:
    network, site = network_of(address), site_of(address)
    return {f"#{network}": ATTEMPTS_OF_NETWORK, f"#site#{site}": ATTEMPTS_OF_SITE, "": ATTEMPTS_OF_ALL}


def _bounds_of_entry(entry: tickets.Ticket) -> Mapping[str, int]:
    """Return the bound of the browsers that entered in the same second. Any spelling of a ticket has the same one."""
    return {f"#entered#{entry.expires_at}": ATTEMPTS_OF_BROWSER}
