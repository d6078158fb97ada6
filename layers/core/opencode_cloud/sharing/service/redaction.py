"""Redaction of published items, and the report for their owner (docs/redaction.md)."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from opencode_cloud.kit import log
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import Finding, Item, ItemFindings, RedactionMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opencode_cloud.contracts.ids import ShareId
    from opencode_cloud.sharing.models import Share
    from opencode_cloud.sharing.redaction.redactor import Redactor
    from opencode_cloud.sharing.service.access import PublishingRules
    from opencode_cloud.sharing.store import ShareStore

REMEMBERED = 4000
"""Items whose findings a process remembers. Clients send a growing text again and again."""
MOST_FINDINGS = 100
"""Findings of one item that are kept for the report."""
MOST_ROWS = 500
"""Items of one publication whose findings are kept."""


class SecretRedaction:
    """Replaces or reports secrets, as the policy of the share's workspace says."""

    def __init__(self, store: ShareStore, without_workspace: RedactionMode) -> None:
        """``without_workspace`` is the treatment of shares that no workspace has a policy for."""
        self._store = store
        self._without_workspace = without_workspace
        self._noted = _Noted()

    def apply(self, share: Share, items: Sequence[Item], at: int, rules: PublishingRules) -> Sequence[Item]:
        """Return ``items`` as they are stored, and note what was found in them. ``at`` is their arrival."""
        mode = rules.redaction or self._without_workspace
        if mode is RedactionMode.OFF or not items:
            return items
        redactor = redactor_of(share, rules)
        redacted = [redactor.redact(item) for item in items]
        found = [
            ItemFindings(key=each.item.key, at=at, findings=each.findings[:MOST_FINDINGS])
            for each in redacted
            if each.findings
        ]
        if found:
            count_kinds(finding for each in redacted for finding in each.findings)
            self._note(share.id, found)
        return [each.item for each in redacted] if mode is RedactionMode.ON else items

    def _note(self, share_id: ShareId, found: Sequence[ItemFindings]) -> None:
        # The last one of a key is the one that is stored.
        by_key = {each.key: each for each in found}
        new = [each for each in by_key.values() if not self._noted.has(share_id, each)]
        if not new:
            return
        try:
            self._store.put_findings(share_id, new[:MOST_ROWS])
        except ServiceError as error:
            # The secrets are replaced already, and clients do not repeat a publication.
            logger.warning("findings are not noted", extra={"share": share_id, "reason": error.code})
            log.count("UnnotedFindingsCount", len(new))
        else:
            self._noted.add(share_id, new)


def redacted_text(share: Share, rules: PublishingRules, text: str) -> str:
    """Return ``text`` without secrets, if the rules say so."""
    return redactor_of(share, rules).text(text) if rules.redaction is RedactionMode.ON else text


def redactor_of(share: Share, rules: PublishingRules) -> Redactor:
    """Return the redactor of a share."""
    # The library and its rules load with the first publication (docs/decisions/038).
    from opencode_cloud.sharing.redaction.redactor import Redactor

    allowed = share.ownership.allowed_secrets if share.ownership else ()
    # The hash names the session of this share alone, and never leaves the table.
    return Redactor(share.session_hash.encode(), rules.patterns, allowed)


def count_kinds(findings: Iterable[Finding]) -> None:
    """Count findings by kind, as metrics. All kinds that workspaces declare count as one, since metrics cost money."""
    from opencode_cloud.sharing.redaction.rules import known_kinds

    kinds: Counter[str] = Counter()
    for finding in findings:
        kinds[finding.kind if finding.kind in known_kinds() else "custom"] += finding.count
    log.count("RedactedCount", kinds.total())
    for kind, number in kinds.items():
        log.count(f"RedactedCount.{kind}", number)


class _Noted:
    """The findings that a process has stored last; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._findings: OrderedDict[tuple[ShareId, str], tuple[Finding, ...]] = OrderedDict()

    def has(self, share_id: ShareId, found: ItemFindings) -> bool:
        return self._findings.get((share_id, found.key)) == found.findings

    def add(self, share_id: ShareId, found: Iterable[ItemFindings]) -> None:
        with self._lock:
            for each in found:
                self._findings[share_id, each.key] = each.findings
                self._findings.move_to_end((share_id, each.key))
            while len(self._findings) > REMEMBERED:
                self._findings.popitem(last=False)
