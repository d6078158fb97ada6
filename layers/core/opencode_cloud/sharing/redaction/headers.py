"""Secrets that only their place shows: headers that a person configured for a model, and those of a failed call.

Clients publish the models of a session as they are configured, and errors with the headers of the provider's answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

KIND = "header"
_STRING = rb'"((?:[^"\\]|\\.)*)"'
_OBJECT = re.compile(rb'"(headers|responseHeaders)"\s*:\s*\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}', re.DOTALL)
"""An object of texts, outside strings: there, a quotation mark has a backslash before it."""
_TEXT = re.compile(rb'"((?:[^"\\]|\\.|\\\Z)*)(?:"|\Z)', re.DOTALL)
"""A text in such an object. One without an end matches too: otherwise each quotation mark would be tried to the end."""
_OPTION = re.compile(
    rb'"(?:api_?key|(?:access|auth|bearer|session)_?token|(?:client_?)?secret|password|authorization)"\s*:\s*'
    + _STRING,
    re.DOTALL | re.IGNORECASE,
)
_NAMES_A_SECRET = re.compile(rb"auth|cookie|key|secret|token", re.IGNORECASE)
_HARMLESS = frozenset(
    (b"accept", b"anthropic-beta", b"anthropic-version", b"content-type", b"http-referer", b"user-agent", b"x-title")
)
"""Headers of models that clients set themselves, in small letters."""
_MARK = b"[redacted: "


def header_values(kind: str, document: bytes) -> Iterator[tuple[int, int]]:
    """Yield the places of such values in the data of an item of type ``kind``, as bytes of the document."""
    is_model = kind == "model"
    if is_model:
        yield from (each.span(1) for each in _OPTION.finditer(document) if _is_new(each[1]))
    if b'eaders"' not in document:
        return
    for found in _OBJECT.finditer(document):
        if (found[1] == b"headers") is not is_model:
            continue
        for name, value in pairwise(_TEXT.finditer(document, *found.span(2))):
            if document[name.end() : value.start()].strip() != b":":
                continue  # the value before, and the next name
            is_secret = name[1].lower() not in _HARMLESS if is_model else _NAMES_A_SECRET.search(name[1])
            if is_secret and _is_new(value[1]):
                yield value.span(1)


def _is_new(value: bytes) -> bool:
    return bool(value) and _MARK not in value
