"""The nouns of sharing: items, the records of a share's log, shares, viewers; and the errors of the feature."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import ConnectionId, ShareId, WorkspaceId
from opencode_cloud.kit.errors import BadRequest, Forbidden, Gone, NotFound, TooManyRequests, Unauthorized, Unavailable

SCHEMA = 1  # of the documents that readers get; see docs/protocol.md, "Versions"
SESSION_ID = re.compile(r"ses_[A-Za-z0-9]{1,128}")  # every form that any client has used


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a share, as committed.

    ``data`` is the item's ``data`` as raw JSON bytes, exactly as published but for the session id's pseudonym.
    A body too large to travel with its record is claim-checked: then ``data`` is empty, ``body`` names its object.
    """

    key: str
    type: str
    data: bytes = b""
    body: str | None = None
    seq: int = 0
    at: int = 0

    def beats(self, other: Item) -> bool:
        """Tell whether this item replaces ``other`` of the same key: the last arrival wins (invariant I3)."""
        return (self.at, self.seq) > (other.at, other.seq)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted publication: the items ``first`` to ``last`` of the log, arrived at ``at`` (milliseconds).

    ``total`` is the log's size in stored bytes up to and including this record, by which a snapshot knows its tail.
    """

    first: int
    last: int
    at: int
    total: int
    items: tuple[Item, ...]


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a publication as a row takes them: ``packed``, or the name of the object that holds them."""

    count: int
    size: int
    packed: bytes | None = None
    claim: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Where a share's folded state stands in the object store: all items up to ``seq``.

    ``bytes`` is its size as readers see it, ``stored`` as it is stored, compressed.

    ``previous`` is the one before: a reader may have just been sent to it, so it goes only with the next fold.
    """

    seq: int
    total: int
    bytes: int
    stored: int
    object: str
    previous: str | None = None


class State(StrEnum):
    """Whether a share can be read and written."""

    ACTIVE = "active"
    GONE = "gone"


class Mode(StrEnum):
    """Who may read a share that has an owner; a share without one is for whoever has its link."""

    LINK = "link"
    PASSWORD = "password"  # noqa: S105 - a kind, not a value
    """Whoever has the link and the password; members of the workspace need no password."""
    WORKSPACE = "workspace"
    """Members of the workspace only."""


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a share is and who may read it.

    ``ticket_key`` signs the tickets of readers; a new one with every change of who may read makes all of them void.
    """

    owner: str
    """``acc_`` or ``svc_``."""
    workspace_id: WorkspaceId
    mode: Mode
    ticket_key: bytes
    password_hash: str = ""
    title: str = ""
    """The session's, for lists."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share's row: what decides who may write it and what readers see instead of the session id."""

    id: ShareId
    state: State
    session_hash: str
    secret_hash: bytes
    sealed_session: bytes
    pseudonym: str
    created_at: int
    expires_at: int | None = None
    hint: Position
    snapshot: Snapshot | None = None
    ownership: Ownership | None = None


class Position(msgspec.Struct, frozen=True):
    """The end of a log that is known to exist: its last sequence number and the stored bytes up to there."""

    seq: int = 0
    total: int = 0


class Protocol(StrEnum):
    """What a viewer's socket speaks."""

    LIVE = "live"
    POLL = "poll"


class Viewer(msgspec.Struct, frozen=True):
    """A connected socket that follows a share."""

    connection_id: ConnectionId
    protocol: Protocol
    ticket: str = ""


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a removed share: when and why it went, and the proof that nothing is left."""

    share_id: ShareId
    reason: str
    deleted_at: int
    purged_at: int | None = None
    removed_rows: int = 0
    removed_objects: int = 0
    closed_sockets: int = 0


class Credentials(msgspec.Struct, frozen=True):
    """What a client needs to go on with a share that it made."""

    id: ShareId
    secret: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of a share that has an owner; a None stays as it is. ``expires_at`` 0 means never."""

    mode: Mode | None = None
    password: str | None = None
    expires_at: int | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A share with an owner, as lists show it: ``views`` is how often its page or a document of it was opened."""

    share: Share
    ownership: Ownership
    views: int


class Place(msgspec.Struct, frozen=True):
    """A place in a list of shares, which is ordered by when they were made (milliseconds)."""

    created_at: int
    share_id: ShareId


class Commit(msgspec.Struct, frozen=True):
    """An accepted publication: everything up to ``seq`` is durable and visible to every later read."""

    seq: int
    items: int


def share_not_found() -> NotFound:
    """No share has this id."""
    return NotFound("share_not_found", "There is no share with this id.")


def item_not_found() -> NotFound:
    """The share has no item of this number."""
    return NotFound("item_not_found", "The share has no item with this number.")


def share_gone() -> Gone:
    """The share was unshared, removed or has expired."""
    return Gone("share_gone", "This share has been removed. Share the session again to get a new link.")


def wrong_secret() -> Forbidden:
    """The secret is not this share's."""
    return Forbidden("wrong_secret", "The secret does not belong to this share. Share the session again to get one.")


def missing_secret() -> Unauthorized:
    """The request carries no secret."""
    return Unauthorized("missing_secret", "Send the share's secret as the field `secret` of the JSON body.")


def invalid_session_id() -> BadRequest:
    """The session id is not of a form that a client makes."""
    return BadRequest("invalid_session_id", "The field `sessionID` must be `ses_` and up to 128 letters or digits.")


def invalid_item(position: int, reason: str) -> BadRequest:
    """An item of a publication is malformed; none of the batch was stored."""
    return BadRequest("invalid_item", f"Item {position} of the batch {reason}. Nothing of the batch was stored.")


def too_many_creates(retry_after: int) -> TooManyRequests:
    """One address creates shares faster than the deployment allows."""
    return TooManyRequests(
        "too_many_creates", f"Too many shares from this address. Try again in {retry_after} s.", retry_after
    )


def contended() -> Unavailable:
    """Other writers of this share were always first."""
    return Unavailable("contended", "Too many writers at once for this share. Nothing was stored: send it again.")


def password_required() -> Unauthorized:
    """The share has a password, and the request neither proves to know it nor to come from its workspace."""
    return Unauthorized(
        "password_required",
        "This share has a password. Send it to POST /share/<id>/unlock, and the ticket that it answers"
        " as `x-share-ticket`.",
    )


def wrong_password() -> Forbidden:
    """The password is not this share's."""
    return Forbidden("wrong_password", "This is not the password of the share.")


def too_many_attempts(retry_after: int) -> TooManyRequests:
    """Passwords are tried faster than a person can type them."""
    return TooManyRequests("too_many_attempts", f"Too many attempts. Try again in {retry_after} s.", retry_after)


def sharing_off() -> Forbidden:
    """The policy of the workspace allows no shares."""
    return Forbidden(
        "sharing_off",
        "The policy of your workspace does not allow sharing. Ask an admin of the workspace.",
    )


def anonymous_sharing_off() -> Forbidden:
    """The stage wants every share to have an owner."""
    return Forbidden(
        "login_to_share",
        "This deployment takes shares of signed-in people only: `opencode console login <this host>`, and share again.",
    )


def owner_has_left() -> Forbidden:
    """Whoever the share belongs to may not share in its workspace any more."""
    return Forbidden(
        "owner_has_left",
        "The share's owner has left its workspace, or may not share there any more. Unshare the session first.",
    )


def mode_not_allowed(mode: Mode) -> Forbidden:
    """The policy of the workspace does not allow so wide a mode."""
    return Forbidden(
        "mode_not_allowed", f"The policy of your workspace does not allow shares of mode `{mode}`, only of `workspace`."
    )


def lifetime_not_allowed(seconds: int) -> Forbidden:
    """The policy of the workspace does not allow so long a lifetime."""
    return Forbidden(
        "lifetime_not_allowed", f"The policy of your workspace lets shares live for {seconds} s from now at most."
    )


def password_needed() -> BadRequest:
    """Mode password without a password, or a password without the mode."""
    return BadRequest("invalid_password", "A share has a password if, and only if, its mode is `password`.")


def invalid_expiry() -> BadRequest:
    """An expiry that has passed."""
    return BadRequest("invalid_expiry", "`expires_at` must be in the future.")
