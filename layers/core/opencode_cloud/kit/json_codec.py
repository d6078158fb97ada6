"""Decode clients' JSON, including lone surrogates, which JavaScript writes and strict decoders refuse."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

Form = TypeVar("Form")
# Compiled at the first use, like other patterns that most processes do not need.
_SURROGATES = (
    rb"(?<!\\)((?:\\\\)*)"
    rb"(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_REPLACEMENT = rb"\ufffd"


def decode(body: bytes, form: type[Form]) -> Form:
    """Decode ``body`` into ``form``; raises :class:`msgspec.DecodeError`.

    JavaScript cuts text by UTF-16 unit and so may write half of a surrogate pair, which UTF-8 cannot encode. It is
    replaced by U+FFFD, as UTF-8 encoders do. Refusing the batch would lose it, since clients do not resend.
    """
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.DecodeError:
        repaired = re.sub(_SURROGATES, _without_surrogate, body)
        if repaired == body:
            raise
        return msgspec.json.decode(repaired, type=form)


def _without_surrogate(match: re.Match[bytes]) -> bytes:
    return match[0] if match[2] else match[1] + _REPLACEMENT
