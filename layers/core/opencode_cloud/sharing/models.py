"""The models of sharing: items, the records of a share's log, shares and viewers; and the errors of the feature."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import ConnectionId, ShareId, WorkspaceId
from opencode_cloud.kit.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)

FUNCTION_MB = 6  # of a request to a function, by AWS Lambda's limit
CONTAINER_MB = 32
LONGEST_SHARE_ID = 64  # in characters; ours have 22
LAST_SEQ = 10**12 - 1  # sort keys of the log have twelve digits
LAST_MOMENT = 253_402_300_799  # seconds since the epoch: the end of the year 9999, after which there are no dates
SCHEMA = 1  # version of the documents for readers; see docs/protocol.md, "Versions"
SESSION_ID = r"ses_[A-Za-z0-9]{1,128}"  # all forms that clients have used


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a share, as committed.

    ``data`` is the item's ``data`` as raw JSON bytes, exactly as published except for the pseudonyms of session ids. A
    body too large to travel with its record is claim-checked: ``data`` is empty and ``body`` names its object.
    """

    key: str
    type: str
    data: bytes = b""
    body: str | None = None
    seq: int = 0
    at: int = 0

    def beats(self, other: Item) -> bool:
        """Tell whether this item replaces ``other``, which has the same key: the last arrival wins (invariant I3)."""
        return (self.at, self.seq) > (other.at, other.seq)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted publication: the items ``first`` to ``last`` of the log, arrived at ``at`` (milliseconds).

    ``total`` is the log's size in stored bytes up to and including this record. Snapshots compute their tail from it.
    """

    first: int
    last: int
    at: int
    total: int
    items: tuple[Item, ...]


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a publication in the form of a row: ``packed``, or the name of the object that holds them."""

    count: int
    size: int
    packed: bytes | None = None
    claim: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The location of a share's folded state in the object store: all items up to ``seq``.

    ``bytes`` is its size as readers see it; ``stored`` is its size as stored, compressed by gzip. ``zstd`` tells
    whether there is a second object, compressed by zstd.

    ``outline_bytes`` is the size of its outline, by which readers get some of its messages; 0: it has none.
    ``previous`` is the snapshot before this one. A reader may just have been redirected to it, so the next fold deletes
    it, not this one.
    """

    seq: int
    total: int
    bytes: int
    stored: int
    object: str
    zstd: bool = False
    outline_bytes: int = 0
    previous: str | None = None


class ViewerCount(msgspec.Struct, frozen=True, kw_only=True):
    """The number of viewers of a share at the time ``at`` (seconds since the epoch).

    ``rows`` is the number of their rows, of which some have expired and wait for their deletion.
    """

    viewers: int
    rows: int
    at: int


class State(StrEnum):
    """The lifecycle of a share: it can be read and written only while active."""

    ACTIVE = "active"
    GONE = "gone"


class Mode(StrEnum):
    """The audience of a share that has an owner. Anyone with the link can read a share without an owner."""

    LINK = "link"
    PASSWORD = "password"  # noqa: S105 - a kind, not a value
    """Anyone with the link and the password. Members of the workspace need no password."""
    WORKSPACE = "workspace"
    """Members of the workspace only."""


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of a share and its audience.

    ``ticket_key`` signs the tickets of readers. Every change of the audience replaces it, which makes all tickets void.
    """

    owner: str
    """The id of the account or service account: ``acc_`` or ``svc_``."""
    workspace_id: WorkspaceId
    mode: Mode
    ticket_key: bytes
    password_hash: str = ""
    title: str = ""
    """The session's title, for lists."""
    allowed_secrets: tuple[str, ...] = ()
    """Kinds of secrets, or single ones as ``kind/fingerprint``, that the owner wants to be shown."""
    comments: bool | None = None
    """Whether members may comment; None: only if members alone read the share."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Publications of a share that were refused, so that what they held is missing: the code of the last error.

    ``since`` and ``last`` are the times of the first and the last one known, in milliseconds.
    """

    code: str
    since: int
    last: int


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share's row: the proof of who may write it, and the pseudonym that readers see instead of the session id."""

    id: ShareId
    state: State
    session_hash: str
    secret_hash: bytes
    sealed_session: bytes
    pseudonym: str
    family: str = ""
    """The name of its publisher, by which shares of one publisher find each other; empty: made before there was one."""
    created_at: int
    expires_at: int | None = None
    hint: Position
    snapshot: Snapshot | None = None
    viewer_count: ViewerCount | None = None
    """The last count of the viewers, if it was ever needed: see ``service/viewer_limit.py``."""
    ownership: Ownership | None = None
    refusal: Refusal | None = None
    """Updates that could not be stored, because the share or its publisher was over a limit."""
    needs_login: bool = False
    """True after a claim: others may hold the secret too, so it counts only with a login of the owner."""


class Position(msgspec.Struct, frozen=True):
    """The known end of a log: its last sequence number and the stored bytes up to it."""

    seq: int = 0
    total: int = 0


class Protocol(StrEnum):
    """The protocol of a viewer's socket."""

    LIVE = "live"
    POLL = "poll"
    HUB = "hub"
    """Not a socket: the address of a process that holds any number of sockets (docs/decisions/029)."""


class Viewer(msgspec.Struct, frozen=True):
    """A connected socket that follows a share."""

    connection_id: ConnectionId
    protocol: Protocol
    ticket: str = ""


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """The remains of a removed share: the time and reason of the removal, and the proof that nothing is left."""

    share_id: ShareId
    reason: str
    deleted_at: int
    purged_at: int | None = None
    removed_rows: int = 0
    removed_objects: int = 0
    closed_sockets: int = 0


class RedactionMode(StrEnum):
    """The treatment of secrets in published items."""

    ON = "on"
    """They are replaced, and reported to the owner."""
    REPORT = "report"
    """They are reported only."""
    OFF = "off"


class Finding(msgspec.Struct, frozen=True):
    """A secret that was found in an item, without its value."""

    kind: str
    field: str
    """The member of the item's data that holds it, such as ``state.output``; empty: the item's key or type."""
    fingerprint: str
    """The same for the same secret in one share. It cannot be turned back into the secret."""
    count: int = 1
    """How often the field holds it."""


class ItemFindings(msgspec.Struct, frozen=True):
    """The secrets that were last found in an item."""

    key: str
    at: int
    """The arrival of the item (milliseconds)."""
    findings: tuple[Finding, ...]


class RedactionReport(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets that were found in a share, the latest item first, and those that its owner allows."""

    mode: RedactionMode
    items: tuple[ItemFindings, ...]
    allowed: tuple[str, ...]


class ShareCredentials(msgspec.Struct, frozen=True):
    """The values that a client needs to continue a share that it made."""

    id: ShareId
    secret: str


class ShareUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a share that has an owner. None leaves a value unchanged; ``expires_at`` 0 means never."""

    mode: Mode | None = None
    password: str | None = None
    expires_at: int | None = None
    allowed_secrets: tuple[str, ...] | None = None
    comments: bool | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A share with an owner, as lists show it. ``views`` counts openings of its page and documents."""

    share: Share
    ownership: Ownership
    views: int


class OwnerPanel(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that the page of a share shows to its owner. ``viewers`` are those who watch it now."""

    listed: Listed
    viewers: int
    report: RedactionReport


class ShareCursor(msgspec.Struct, frozen=True):
    """A position in a list of shares, which is ordered by creation time (milliseconds)."""

    created_at: int
    share_id: ShareId


class Commit(msgspec.Struct, frozen=True):
    """An accepted publication: everything up to ``seq`` is durable and visible to every later read."""

    seq: int
    items: int


def share_not_found() -> NotFound:
    """Return the error for an id that no share has."""
    return NotFound("share_not_found", "There is no share with this id.")


def message_not_found() -> NotFound:
    """Return the error for a place in a conversation that does not exist."""
    return NotFound("message_not_found", "There is no such message in this session.")


def item_not_found() -> NotFound:
    """Return the error for a sequence number that no item of the share has."""
    return NotFound("item_not_found", "The share has no item with this number.")


def cursor_ahead() -> Conflict:
    """Return the error for a cursor above the log's end, as after a restore from a backup."""
    return Conflict("cursor_ahead", "The cursor is above the end of the log. Drop the state and resume after 0.")


def share_gone() -> Gone:
    """Return the error for a share that was unshared, removed or has expired."""
    return Gone("share_gone", "This share has been removed. Share the session again to get a new link.")


def wrong_secret() -> Forbidden:
    """Return the error for a secret that is not this share's."""
    return Forbidden("wrong_secret", "The secret does not belong to this share. Share the session again to get one.")


def missing_secret() -> Unauthorized:
    """Return the error for a request without a secret."""
    return Unauthorized("missing_secret", "Send the share's secret as the field `secret` of the JSON body.")


def invalid_session_id() -> BadRequest:
    """Return the error for a session id whose form no client makes."""
    return BadRequest("invalid_session_id", "The field `sessionID` must be `ses_` and up to 128 letters or digits.")


def invalid_item(position: int, reason: str) -> BadRequest:
    """Return the error for a malformed item of a publication. Nothing of the batch was stored."""
    return BadRequest("invalid_item", f"Item {position} of the batch {reason}. Nothing of the batch was stored.")


def too_many_creates(retry_after: int) -> TooManyRequests:
    """Return the error for an address that creates shares faster than the deployment allows."""
    return TooManyRequests(
        "too_many_creates", f"Too many shares from this address. Try again in {retry_after} s.", retry_after
    )


def share_full(megabytes: int, items: int) -> PayloadTooLarge:
    """Return the error for a share without an owner that has taken what one may take in a day."""
    return PayloadTooLarge(
        "share_full",
        f"A share without an account takes {megabytes} MB and {items} items a day. Log in to share more.",
    )


def stored_too_much(retry_after: int) -> TooManyRequests:
    """Return the error for a network from which too much was shared today without an account."""
    return TooManyRequests(
        "stored_too_much", "Your network has shared too much today. Log in to share more.", retry_after
    )


def too_many_syncs(syncs: int, retry_after: int) -> TooManyRequests:
    """Return the error for a share without an owner that is synced too often."""
    return TooManyRequests("too_many_syncs", f"A share without an account takes {syncs} syncs a second.", retry_after)


def too_many_viewers(viewers: int) -> TooManyRequests:
    """Return the error for a viewer of a share that has as many as it may have."""
    return TooManyRequests("too_many_viewers", f"This share has {viewers} viewers already. Try again later.", 60)


def too_many_follows(shares: int) -> TooManyRequests:
    """Return the error for a socket that follows as many shares as it may follow."""
    return TooManyRequests("too_many_follows", f"A socket follows at most {shares} shares. Open another one.", 60)


def contended() -> Unavailable:
    """Return the error for a write that lost every race with the share's other writers."""
    return Unavailable("contended", "Too many writers at once for this share. Nothing was stored: send it again.")


def password_required() -> Unauthorized:
    """Return the error for a share with a password when the request neither proves the password nor a membership."""
    return Unauthorized(
        "password_required",
        "This share has a password. Send it to POST /share/<id>/unlock, and the ticket that it answers"
        " as `x-share-ticket`.",
    )


def wrong_password() -> Forbidden:
    """Return the error for a password that is not this share's."""
    return Forbidden("wrong_password", "This is not the password of the share.")


def too_many_attempts(retry_after: int) -> TooManyRequests:
    """Return the error for passwords that are tried faster than a person can type them."""
    return TooManyRequests("too_many_attempts", f"Too many attempts. Try again in {retry_after} s.", retry_after)


def sharing_off() -> Forbidden:
    """Return the error for a workspace whose policy allows no shares."""
    return Forbidden(
        "sharing_off",
        "The policy of your workspace does not allow sharing. Ask an admin of the workspace.",
    )


def anonymous_sharing_off() -> Forbidden:
    """Return the error for an anonymous share on a stage where every share needs an owner."""
    return Forbidden(
        "login_to_share",
        "This deployment takes shares of signed-in people only: `opencode console login <this host>`, and share again.",
    )


def owner_has_left() -> Forbidden:
    """Return the error for a share whose owner may not share in its workspace any more."""
    return Forbidden(
        "owner_has_left",
        "The share's owner has left its workspace, or may not share there any more. Unshare the session first.",
    )


def mode_not_allowed(mode: Mode) -> Forbidden:
    """Return the error for a mode that is wider than the policy of the workspace allows."""
    return Forbidden(
        "mode_not_allowed", f"The policy of your workspace does not allow shares of mode `{mode}`, only of `workspace`."
    )


def lifetime_not_allowed(seconds: int) -> Forbidden:
    """Return the error for a lifetime that is longer than the policy of the workspace allows."""
    return Forbidden(
        "lifetime_not_allowed", f"The policy of your workspace lets shares live for {seconds} s from now at most."
    )


def password_needed() -> BadRequest:
    """Return the error for mode ``password`` without a password, or a password without the mode."""
    return BadRequest("invalid_password", "A share has a password if, and only if, its mode is `password`.")


def invalid_allowed_secrets() -> BadRequest:
    """Return the error for a list of allowed secrets of another form."""
    return BadRequest(
        "invalid_allowed_secrets",
        "List up to 100 kinds, such as `generic-api-key`, or single secrets, such as `generic-api-key/1a2b3c4d`.",
    )


def invalid_expiry() -> BadRequest:
    """Return the error for an expiry in the past, or one that is no date."""
    return BadRequest("invalid_expiry", "`expires_at` must be in the future, and before the year 10000 in UTC.")
