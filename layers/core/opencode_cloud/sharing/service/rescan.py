"""Searching a stored share for secrets again, by the present rules, and replacing them everywhere they are stored.

The log is rewritten in place, record by record, and keeps its numbers. The redacted items are appended once more, so
that viewers and later readers get them. Then everything that was made from the old log is deleted: the snapshots,
documents for readers, and bodies of large items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit import log
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import Item, Position, State
from opencode_cloud.sharing.protocol.fold import Fold
from opencode_cloud.sharing.service.access import is_over
from opencode_cloud.sharing.service.appending import Appending, numbered, record_of
from opencode_cloud.sharing.service.redaction import redacted_text
from opencode_cloud.sharing.service.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opencode_cloud.contracts.ids import ShareId
    from opencode_cloud.sharing.models import Record, Share
    from opencode_cloud.sharing.service.access import PublishingRules, ShareAccess
    from opencode_cloud.sharing.service.fan_out import FanOut
    from opencode_cloud.sharing.service.redaction import SecretRedaction
    from opencode_cloud.sharing.service.snapshots import Snapshots
    from opencode_cloud.sharing.store import ObjectStore, ShareStore

DERIVED = ("documents/", "copies/")
"""Folders of what was made for readers from the log."""
ROUNDS = 3
"""Passes over a log. A second one finds records of a writer with older rules, such as during a deployment."""


class Rescan:
    """Applies the present rules to a stored share. Idempotent."""

    def __init__(
        self,
        store: ShareStore,
        objects: ObjectStore,
        snapshots: Snapshots,
        fan_out: FanOut,
        share_access: ShareAccess,
        redaction: SecretRedaction,
    ) -> None:
        self._store = store
        self._objects = objects
        self._snapshots = snapshots
        self._fan_out = fan_out
        self._share_access = share_access
        self._tails = Tails()
        self._appending = Appending(store, self._tails)
        self._redaction = redaction

    def run(self, share_id: ShareId) -> int:
        """Search a share, and replace what is found. Return the number of rewritten records.

        A share that is gone, or whose workspace does not search, is left alone.
        """
        rewritten = 0
        for number in range(ROUNDS):
            share = self._store.share(share_id)
            if share is None or is_over(share):
                break
            if not number:  # a later comment is searched as it comes
                self._redact_comments(share)
            changed = self._pass(share)
            rewritten += changed
            if not changed:
                break
        else:
            logger.warning("a share still changes after its rescan", extra={"share": share_id})
        log.count("RescannedCount")
        logger.info("share rescanned", extra={"share": share_id, "records": rewritten})
        return rewritten

    def _pass(self, share: Share) -> int:
        """Rewrite the records that hold secrets, and delete what was made from them."""
        rules = self._share_access.rules(share)
        state, stale_bodies, changed, rewritten, end = Fold(), set[str](), set[int](), 0, Position()
        for record in self._store.records(share.id, 0):
            items, bodies = self._redacted(share, record, rules)
            state.add(items)
            end = Position(record.last, record.total)
            if items is record.items:
                continue
            self._store.rewrite(share.id, record, items)
            stale_bodies |= bodies
            changed |= {item.seq for item, old in zip(items, record.items, strict=True) if item is not old}
            rewritten += 1
        if rewritten:
            self._append_again(share, end, [item for item in state.items() if item.seq in changed])
            self._forget_derived(share.id, stale_bodies)
        return rewritten

    def _redacted(
        self, share: Share, record: Record, rules: PublishingRules
    ) -> tuple[tuple[Item, ...], frozenset[str]]:
        """Return a record's items as they should be stored, the same if nothing changes, and the bodies that go."""
        items: list[Item] = []
        stale: set[str] = set()
        for item in record.items:
            whole = self._objects.filled(share.id, item)
            [redacted] = self._redaction.apply(share, [whole], item.at, rules)
            if redacted is whole:
                items.append(item)
                continue
            items.append(redacted)
            if item.body:
                stale.add(item.body)
        if all(new is old for new, old in zip(items, record.items, strict=True)):
            return record.items, frozenset()
        return tuple(items), frozenset(stale)

    def _redact_comments(self, share: Share) -> None:
        """Replace what is found in comments and their quotes, and have open pages fetch them."""
        rules, found = self._share_access.rules(share), False
        for comment in self._store.comments(share.id):
            lines = comment.lines
            if lines is not None:
                quote = redacted_text(share, rules, lines.quote)
                # The change itself gets as much longer or shorter, and must still be found.
                length = lines.length + len(quote) - len(lines.quote)
                lines = msgspec.structs.replace(lines, quote=quote, length=length)
            redacted = msgspec.structs.replace(comment, text=redacted_text(share, rules, comment.text), lines=lines)
            if redacted != comment:
                found |= self._store.replace_comment(share.id, redacted)
        if found:
            self._fan_out.tell_of_comments(share.id, self._store.viewers(share.id))

    def _append_again(self, share: Share, known_end: Position, items: Sequence[Item]) -> None:
        """Append the present items once more and push them. Later arrivals still replace them (I3)."""
        if not items:
            return
        self._appending.note_title(share, items)
        at = max(item.at for item in items)
        head, tail, end = self._appending.append(share, self._store.head(share.id, known_end), items, at)
        record = record_of(numbered(items, tail), tail, end, at)
        stale = self._tails.advance(share.id, end, record.items).stale(record.items)
        audience = self._share_access.audience(share)
        if audience is not None:
            self._fan_out.commit(share, record, head.viewers, stale, audience)

    def _forget_derived(self, share_id: ShareId, bodies: set[str]) -> None:
        share = self._store.share(share_id)
        if share is None or share.state is State.GONE:
            return
        self._snapshots.rebuild(share)
        for name in (*DERIVED, *sorted(bodies)):
            self._objects.delete(share_id, name)
