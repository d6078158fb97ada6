"""Comments of members on shares. Every change is recorded in the audit trail, without the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import CommentId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.sharing.models import Mode, Share, message_not_found, share_not_found
from opencode_cloud.sharing.protocol.capability import pseudonym_key
from opencode_cloud.sharing.protocol.comments import (
    LONGEST_COMMENT,
    MOST_COMMENT_BYTES,
    MOST_COMMENTS,
    Comment,
    CommentedLines,
    WantedLines,
    comment_not_found,
    comments_off,
    invalid_comment,
    too_many_comments,
)
from opencode_cloud.sharing.protocol.concealment import concealed_text, session_ids_in
from opencode_cloud.sharing.protocol.items import MAXIMUM_KEY
from opencode_cloud.sharing.service.owning import governs, owner_of
from opencode_cloud.sharing.service.reading import MOST_RELATIVES
from opencode_cloud.sharing.service.redaction import redacted_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opencode_cloud.access.service import Access
    from opencode_cloud.audit.audit_queue import AuditQueue
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.contracts.ids import ShareId
    from opencode_cloud.sharing.service.access import ShareAccess, Visitor
    from opencode_cloud.sharing.service.commented_lines import LineFinder
    from opencode_cloud.sharing.service.fan_out import ViewerSockets
    from opencode_cloud.sharing.service.reading import ShareReader
    from opencode_cloud.sharing.service.windows import Conversation
    from opencode_cloud.sharing.store import ShareStore


def takes_comments(share: Share, audience: Mode | None) -> bool:
    """Tell whether a share takes and shows comments: as its owner says, or else if only members read it."""
    if share.ownership is None:
        return False
    if share.ownership.comments is not None:
        return share.ownership.comments
    return audience is Mode.WORKSPACE


class Commenting:
    """Reads and writes comments. Everyone who may read a share sees its comments; members of its workspace write."""

    def __init__(
        self,
        store: ShareStore,
        reading: ShareReader,
        share_access: ShareAccess,
        access: Access,
        sockets: ViewerSockets,
        audit: AuditQueue,
        session_key: Callable[[], str],
    ) -> None:
        """``session_key`` returns the deployment's key, from which the key of pseudonyms is made."""
        self._store = store
        self._reading = reading
        self._share_access = share_access
        self._access = access
        self._sockets = sockets
        self._audit = audit
        self._session_key = session_key

    def of(self, share: Share, conversation: Callable[[], Conversation]) -> Sequence[Comment]:
        """Return the comments of a share that the caller has admitted a reader to, in the order of their creation.

        ``conversation`` opens the share's conversation. Only comments on lines need it.
        """
        if not takes_comments(share, self._share_access.audience(share)):
            return ()
        comments = self._store.comments(share.id)
        items = {comment.item for comment in comments if comment.lines is not None}
        if not items:
            return comments
        finder = self._finder(share.id, conversation(), items)
        return [finder.checked(comment) for comment in comments]

    def read(self, share_id: ShareId, visitor: Visitor) -> tuple[Share, Sequence[Comment]]:
        """Return a share and its comments to a reader. Raises as :meth:`ShareAccess.admit` does."""
        share = self._admitted(share_id, visitor)
        return share, self.of(share, lambda: self._reading.conversation(share_id, visitor))

    def writer(self, share: Share, visitor: Visitor) -> Actor | None:
        """Return the member who may comment on a share; None for other readers, and where comments are off."""
        try:
            return self._writer(share, visitor)
        except ServiceError:
            return None

    def add(
        self, share_id: ShareId, visitor: Visitor, item: str, text: str, wanted: WantedLines | None = None
    ) -> Comment:
        """Add a comment, on the lines ``wanted`` of the item's changes if given. Secrets are treated as in the share.

        Raises the errors of reading the share; ``comments_off`` or ``not_permitted`` (403), ``invalid_comment`` or
        ``invalid_lines`` (400), ``message_not_found`` (404), ``lines_changed`` or ``too_many_comments`` (409).
        """
        share = self._admitted(share_id, visitor)
        actor = self._writer(share, visitor)
        text = text.strip()
        is_visible = any(character.isprintable() and not character.isspace() for character in text)
        if not is_visible or len(text) > LONGEST_COMMENT or len(item) > MAXIMUM_KEY:
            raise invalid_comment()
        present = self._store.comments(share_id)
        if len(present) >= MOST_COMMENTS or len(msgspec.json.encode(present)) >= MOST_COMMENT_BYTES:
            raise too_many_comments()
        rules = self._share_access.rules(share)
        conversation = self._reading.conversation(share_id, visitor) if item or wanted else None
        lines: CommentedLines | None = None
        if conversation and wanted:
            finder = self._finder(share_id, conversation, [item])
            lines = finder.find(item, wanted, lambda quote: redacted_text(share, rules, quote))
        elif conversation and not conversation.has(item):
            raise message_not_found()
        comment = Comment(
            id=CommentId(new_id("cmt")),
            item=item,
            author=owner_of(actor),
            name=_shown(actor),
            text=redacted_text(share, rules, self._concealed(share, text)),
            created_at=now_ms(),
            lines=lines,
        )
        self._store.put_comment(share_id, comment)
        self._changed(actor, share, "share.commented", comment)
        return comment

    def resolve(self, share_id: ShareId, visitor: Visitor, comment_id: CommentId, *, resolved: bool) -> Comment:
        """Mark a comment as resolved, or open it again.

        Raises ``comment_not_found`` (404), and the errors of :meth:`add`.
        """
        share = self._admitted(share_id, visitor)
        actor = self._writer(share, visitor)
        comment = msgspec.structs.replace(self._comment(share_id, comment_id), resolved=resolved)
        if not self._store.replace_comment(share_id, comment):
            raise comment_not_found()
        self._changed(actor, share, "share.comment_resolved" if resolved else "share.comment_reopened", comment)
        return comment

    def delete(self, share_id: ShareId, visitor: Visitor, comment_id: CommentId) -> None:
        """Delete a comment of one's own or, as owner of the share or admin, of anyone.

        Raises ``comment_not_found`` (404), also for comments of others, and the errors of reading.
        """
        share = self._admitted(share_id, visitor)
        actor = self._writer(share, visitor)
        comment = self._comment(share_id, comment_id)
        is_own = comment.author == owner_of(actor)
        if not is_own and not (share.ownership and governs(actor, share.ownership)):
            raise comment_not_found()
        self._store.delete_comment(share_id, comment_id)
        self._changed(actor, share, "share.comment_deleted", comment)

    def _concealed(self, share: Share, text: str) -> str:
        """Return a text without session ids and secrets of shares. Pseudonyms of shared sessions stay."""
        named = session_ids_in(text)
        shown = {other.pseudonym for other in self._store.relatives(share.family, named[:MOST_RELATIVES])}
        return concealed_text(text, pseudonym_key(self._session_key()), {share.pseudonym, *shown})

    def _finder(self, share_id: ShareId, conversation: Conversation, keys: Iterable[str]) -> LineFinder:
        from opencode_cloud.sharing.service.commented_lines import LineFinder  # syncs need no renderers

        return LineFinder(conversation, keys, lambda items: self._reading.inline(share_id, items))

    def _admitted(self, share_id: ShareId, visitor: Visitor) -> Share:
        return self._share_access.admit(share_id, self._store.share(share_id), visitor).share

    def _writer(self, share: Share, visitor: Visitor) -> Actor:
        if share.ownership is None:
            raise share_not_found()
        actor = self._access.member(visitor.request, share.ownership.workspace_id, Permission.SHARE_VIEW)
        if not takes_comments(share, self._share_access.audience(share)):
            raise comments_off()
        return actor

    def _comment(self, share_id: ShareId, comment_id: CommentId) -> Comment:
        found = next((each for each in self._store.comments(share_id) if each.id == comment_id), None)
        if found is None:
            raise comment_not_found()
        return found

    def _changed(self, actor: Actor, share: Share, action: str, comment: Comment) -> None:
        ownership = share.ownership
        if ownership is None:
            return
        facts: dict[str, object] = {"comment": comment.id, "item": comment.item}
        if lines := comment.lines:
            facts |= {"file": lines.file, "side": lines.side, "first": lines.first, "last": lines.last}
        target = Target("share", share.id, ownership.title)
        self._audit.record(actor, action, target, workspace_id=ownership.workspace_id, after=facts)
        self._sockets.tell_of_comments(share.id, self._store.viewers(share.id))


def _shown(actor: Actor) -> str:
    """Return the name that readers see. People from outside must not learn a mail address."""
    return actor.name.partition("@")[0]
