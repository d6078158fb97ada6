"""Concealment of session ids and of secrets of shares in published items (docs/decisions/005, invariant I4).

Both are recognized by their form, because content names other sessions too: parents, sub-agents, forks, lists that a
tool printed. Clients store the secrets of all their shares in one place, which a tool may print as well. Each id
becomes a keyed pseudonym of the same form. Equal ids get equal pseudonyms, so a reference from one share to another
stays right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

import msgspec

from opencode_cloud.contracts.ids import ClientSessionId
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.capability import PROOF_CHARACTERS, SECRET_PREFIX, SealedSession
from opencode_cloud.sharing.protocol.ids import SHARE_ID_CHARACTERS, pseudonym_of

HIDDEN_SECRET = "[redacted: share-secret]"  # noqa: S105 - takes the place of a secret; a rule of redaction counts it
_PREFIX = SECRET_PREFIX.encode()
# Compiled at the first use, like the other rare one.
_SECRET = _PREFIX + b"[A-Za-z0-9_-]{%d}" % (SHARE_ID_CHARACTERS + PROOF_CHARACTERS)
_FORM = rb"ses_(?:[0-9a-f]{64}|[0-9a-f]{12}[0-9A-Za-z]{14})"
_form = re.compile(_FORM)
_USUAL_LENGTH = len("ses_") + 12 + 14
REMEMBERED = 1024
"""Shares whose replacements a process keeps, since deriving them takes longer than replacing."""
REMEMBERED_NAMES = 100
"""Pseudonyms that are kept of one share."""
_SHORT_CORE = 16  # a shorter core could occur in other text by accident, so only the full id is replaced
_DEEP = rb"\\+u00([2-7][0-9A-Fa-f])"
"""An escape of a document within a string, whose backslashes are escaped themselves, once or more."""
_WORD = rb"(?:[A-Za-z0-9_-]|\\+u00[2-7][0-9A-Fa-f])+"
_ESCAPE = rb"(?<!\\)((?:\\\\)*)\\u00([2-7][0-9A-Fa-f])"


def conceal(items: Sequence[Item], session: SealedSession, secret: str) -> list[Item]:
    """Replace all session ids and secrets of shares in all keys, types and bodies.

    The id of the share's own ``session`` is replaced in any form, and without its prefix where it is long. The
    proof of the share's own ``secret`` is replaced even alone.
    """
    concealment = _concealment(session, secret)
    return [
        msgspec.structs.replace(
            item,
            key=concealment.text(item.key),
            type=concealment.text(item.type),
            data=concealment.raw(_plain(item.data)),
        )
        for item in items
    ]


def session_ids_in(text: str) -> list[str]:
    """Return the session ids in a text that has no escapes, each once."""
    return [found.decode() for found in dict.fromkeys(_form.findall(text.encode()))]


def concealed_text(text: str, pseudonym_key: bytes, shown: Collection[str]) -> str:
    """Replace session ids and secrets of shares in a text that a reader wrote.

    A reader knows pseudonyms, and names sessions by them. ``shown`` are the known ones, which stay.
    """

    def name(match: re.Match[str]) -> str:
        found = match[0]
        return found if found in shown else pseudonym_of(pseudonym_key, ClientSessionId(found))

    return re.sub(_SECRET.decode(), HIDDEN_SECRET, re.sub(_FORM.decode(), name, text))


@lru_cache(REMEMBERED)
def _concealment(session: SealedSession, secret: str) -> _Concealment:
    return _Concealment(*session, secret)


class _Concealment:
    """The replacements in one share's items; for any number of threads."""

    def __init__(self, session_id: ClientSessionId, pseudonym_key: bytes, secret: str) -> None:
        self._pseudonym_key = pseudonym_key
        self._pseudonyms: dict[bytes, bytes] = {}
        own = session_id.encode()
        # The longer alternative comes first, so that no id is replaced by a part of it.
        forms = [own, _FORM] if len(own) > _USUAL_LENGTH else [_FORM, own]
        self._ids = _form if _form.fullmatch(own) else re.compile(b"|".join(forms))
        core, name = own.partition(b"_")[2], pseudonym_of(pseudonym_key, session_id).encode().partition(b"_")[2]
        # The last characters of a secret are the proof. The share's id before them is public.
        self._texts = {secret[-PROOF_CHARACTERS:].encode(): HIDDEN_SECRET.encode()}
        if len(core) >= _SHORT_CORE:
            self._texts[core] = name

    def text(self, text: str) -> str:
        return self.raw(text.encode()).decode()

    def raw(self, raw: bytes) -> bytes:
        return self._replaced(re.sub(_WORD, self._word, raw) if b"\\\\u00" in raw else raw)

    def _word(self, match: re.Match[bytes]) -> bytes:
        """Return a word without escapes of any depth if it holds what must be concealed, else as it was."""
        if b"\\" not in match[0]:
            return match[0]
        plain = re.sub(_DEEP, lambda escape: _character(escape[1]) or escape[0], match[0])
        return match[0] if self._replaced(plain) == plain else plain

    def _replaced(self, raw: bytes) -> bytes:
        if b"ses_" in raw:
            raw = self._ids.sub(self._pseudonym, raw)
        if _PREFIX in raw:
            raw = re.sub(_SECRET, HIDDEN_SECRET.encode(), raw)
        for old, new in self._texts.items():
            raw = raw.replace(old, new)
        return raw

    def _pseudonym(self, match: re.Match[bytes]) -> bytes:
        found = match[0]
        # Nearly every item names the share's own session, so derive each pseudonym once.
        pseudonym = self._pseudonyms.get(found)
        if pseudonym is None:
            pseudonym = pseudonym_of(self._pseudonym_key, ClientSessionId(found.decode())).encode()
            if len(self._pseudonyms) < REMEMBERED_NAMES:
                self._pseudonyms[found] = pseudonym
        return pseudonym


def _plain(raw: bytes) -> bytes:
    """Unescape JSON's needless escapes of letters, digits, ``_`` and ``-``, so that nothing can hide in them."""
    return re.sub(_ESCAPE, _unescape, raw) if b"\\u00" in raw else raw


def _unescape(match: re.Match[bytes]) -> bytes:
    character = _character(match[2])
    return match[1] + character if character else match[0]


def _character(code: bytes) -> bytes:
    """Return the letter, digit, ``_`` or ``-`` with a hexadecimal code; empty for others."""
    character = bytes.fromhex(code.decode())
    return character if character.isalnum() or character in b"_-" else b""
