"""Replacing secrets in items by ``[redacted: kind]``."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit.linear_patterns import small_pattern
from opencode_cloud.sharing.models import Finding, Item
from opencode_cloud.sharing.redaction.documents import PlainText, places
from opencode_cloud.sharing.redaction.headers import KIND as HEADER
from opencode_cloud.sharing.redaction.headers import header_values
from opencode_cloud.sharing.redaction.rules import Found, scanner

if TYPE_CHECKING:
    from opencode_cloud.contracts.access import RedactionPattern

FINGERPRINT_CHARACTERS = 8
"""32 bits: enough to tell the secrets of one share apart, too few to confirm a guess of a password."""
SHORTEST_SECRET = 6
"""Bytes. A pattern of a workspace that matches less has matched by accident."""
_QUOTE = 0x22


class RedactedItem(msgspec.Struct, frozen=True):
    """An item without its secrets, and what was found in it. The item is the same object if nothing was found."""

    item: Item
    findings: tuple[Finding, ...] = ()


class Redactor:
    """Finds and replaces secrets for one share; for any number of threads.

    ``key`` makes the fingerprints, by which an owner refers to a secret without naming it. ``allowed`` are kinds, or a
    kind and a fingerprint as ``kind/fingerprint``, that are no secrets to the owner.
    """

    def __init__(self, key: bytes, patterns: Sequence[RedactionPattern] = (), allowed: Sequence[str] = ()) -> None:
        self._key = key
        self._patterns = tuple(patterns)
        self._allowed = frozenset(allowed)

    def redact(self, item: Item) -> RedactedItem:
        """Return ``item`` with each secret in its key, type and data replaced.

        A claim-checked item is returned as it is: the caller must give it its body first.
        """
        data, findings = self._document(item.data, [*header_values(item.type, item.data)])
        key, kind, in_names = self._names(item)
        if not findings and not in_names:
            return RedactedItem(item)
        counts = Counter([*findings, *in_names])
        counted = tuple(msgspec.structs.replace(finding, count=count) for finding, count in counts.items())
        return RedactedItem(msgspec.structs.replace(item, key=key, type=kind, data=data), counted)

    def text(self, text: str) -> str:
        """Return ``text`` with each secret replaced."""
        return self._text(text)[0]

    def _names(self, item: Item) -> tuple[str, str, list[Finding]]:
        """Return key and type without secrets, and what was found in them."""
        both = msgspec.json.encode(item.key) + msgspec.json.encode(item.type)
        # Most keys and types are plain ids, so one pass over both suffices.
        if not self._patterns and b"\\" not in both and not scanner().suspects(both):
            return item.key, item.type, []
        key, in_key = self._text(item.key)
        kind, in_type = self._text(item.type)
        return key, kind, [*in_key, *in_type]

    def _document(self, document: bytes, headers: Sequence[tuple[int, int]] = ()) -> tuple[bytes, list[Finding]]:
        """Replace the secrets in a document, and the values at the places ``headers``."""
        whole = [Found(*place, HEADER) for place in sorted(set(headers))]
        whole = [each for each in whole if not self._is_allowed(each, document)]
        kept, of_headers = self._replaced(document, document, whole, [(each.start, each.end) for each in whole])
        plain = PlainText(kept)
        found = self._found(plain)
        spans = [plain.place(each.start, each.end) for each in found]
        redacted, findings = self._replaced(kept, plain.text, found, spans)
        return redacted, [*of_headers, *findings]

    def _replaced(
        self, document: bytes, text: bytes, found: Sequence[Found], spans: Sequence[tuple[int, int]]
    ) -> tuple[bytes, list[Finding]]:
        """Replace what was found in ``text`` at its places in the document."""
        if not found:
            return document, []
        pieces: list[bytes] = []
        findings: dict[int, Finding] = {}
        at = 0
        for place in places(document, spans):
            each = found[place.span]
            pieces += [document[at : place.start], _mark(each.kind)]
            at = place.end
            # A secret may go on in the next string, such as a key that is a list of lines.
            findings.setdefault(place.span, self._finding(each, text, place.field))
        return b"".join((*pieces, document[at:])), [*findings.values()]

    def _text(self, text: str) -> tuple[str, list[Finding]]:
        document = msgspec.json.encode(text)
        redacted, findings = self._document(document)
        return (msgspec.json.decode(redacted, type=str) if findings else text), findings

    def _found(self, plain: PlainText) -> list[Found]:
        """Return the secrets in ascending order, without those that overlap a better one."""
        text, scan = plain.text, scanner().scan(plain.text)
        found = [*scan.secrets, *_by_patterns(text, self._patterns), *_unfinished(scan.beginnings, plain)]
        return _merged([each for each in found if not self._is_allowed(each, text)])

    def _is_allowed(self, found: Found, text: bytes) -> bool:
        if not self._allowed:
            return False
        if found.kind in self._allowed:
            return True
        return f"{found.kind}/{self._fingerprint(found, text)}" in self._allowed

    def _finding(self, found: Found, text: bytes, field: str) -> Finding:
        return Finding(kind=found.kind, field=field, fingerprint=self._fingerprint(found, text))

    def _fingerprint(self, found: Found, text: bytes) -> str:
        value = found.kind.encode() + b"\0" + text[found.start : found.end]
        return hmac.digest(self._key, value, "sha256").hex()[:FINGERPRINT_CHARACTERS]


def _mark(kind: str) -> bytes:
    return f"[redacted: {kind}]".encode()


def _merged(found: list[Found]) -> list[Found]:
    """Return what was found in ascending order. The more specific one of two that overlap names the whole."""
    merged: list[Found] = []
    for each in sorted(found, key=lambda each: (each.start, each.generic)):
        last = merged[-1] if merged else None
        if last is None or each.start >= last.end:
            merged.append(each)
            continue
        better = each if last.generic and not each.generic else last
        merged[-1] = Found(last.start, max(last.end, each.end), better.kind, better.generic)
    return merged


def _unfinished(beginnings: Sequence[Found], plain: PlainText) -> list[Found]:
    """Return the beginnings of secrets at the ends of the document's strings."""
    return [
        found
        for found in beginnings
        # An escaped quotation mark is a part of the text, and only another one ends it.
        if plain.document[plain.place(found.end, found.end)[0]] == _QUOTE
    ]


def _by_patterns(text: bytes, patterns: tuple[RedactionPattern, ...]) -> list[Found]:
    return [
        Found(*whole, each.name)
        for each in patterns
        for whole, *_ in small_pattern(each.pattern).matches(text)
        if whole[1] - whole[0] >= SHORTEST_SECRET
    ]
