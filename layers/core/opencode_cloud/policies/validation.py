"""Validate a configuration: it must have the form that the client accepts, and contain no secret.

A configuration that the client's own schema rejects prevents every client of the workspace from starting, so it is not
published. ``client_schema.json`` is the client's own schema (``python -m tests.client_schema`` generates it; a test
compares it with the installed client).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opencode_cloud.kit.json_documents import DocumentFault, pointer
from opencode_cloud.policies.token_destinations import token_faults

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

Path_ = tuple[str | int, ...]
SCHEMA = Path(__file__).parent / "client_schema.json"
MAX_BYTES = 100_000
"""The maximum size of a document as JSON."""
MAX_COMPILED_BYTES = 350_000
"""The maximum size of both compiled forms together. They are one DynamoDB item (at most 400 KB)."""
MAX_DEPTH = 40
MAX_FAULTS = 20
LARGEST_EXACT = 2**53 - 1

_REFERENCE = re.compile(r"\{env:[^{}]+\}")
_SECRET_NAME = re.compile(
    r"(?i)(api[-_]?key|access[-_]?key|private[-_]?key|secret|password|passwd|token|authorization|credential|cookie)s?$"
)
_SECRET_HEADER = re.compile(r"(?i)^(x-)?(api|goog-api|auth)[-_]?(key|token)$")
_SECRET_VALUE = re.compile(
    r"(?i:\b(sk-(ant|proj|or|live|test)?[-_a-z0-9]{16,}|oc_sk_[-_a-z0-9]{20,}|gh[pousr]_[a-z0-9]{20,}"
    r"|github_pat_[a-z0-9_]{20,}|glpat-[-_a-z0-9]{16,}|xox[abprs]-[-a-z0-9]{10,}|AIza[-_a-z0-9]{30,}))"
    r"|\bA[KS]IA[A-Z0-9]{16}\b|\beyJ[-_A-Za-z0-9]{10,500}\.eyJ[-_A-Za-z0-9]{10,}\.|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_URL_SECRET = re.compile(r"(?i)^[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@{]+@|[?&](api[-_]?key|key|token|secret)=[^&{\s]+")
_SCHEME = re.compile(r"(?i)^\s*(bearer|basic|token|apikey)\s+")


def faults_of(document: Any, here: str = "") -> list[DocumentFault]:
    """Return the faults that prevent publishing ``document``; empty: it can be published.

    ``here`` is this deployment's address, to which alone the members' token may be sent; empty: nowhere.
    """
    if not isinstance(document, dict):
        return [DocumentFault(path="", message="a configuration is a JSON object")]
    faults = list(_oddities(document, ()))
    if faults:
        return faults[:MAX_FAULTS]
    if len(json.dumps(document, ensure_ascii=False).encode()) > MAX_BYTES:
        return [DocumentFault(path="", message=f"it is longer than {MAX_BYTES} bytes")]
    config = cast("dict[str, Any]", document)
    faults = [*form_faults(config), *_secrets(config, ())]
    # The destinations can be read only where the document has the right form.
    return (faults or list(token_faults(config, here)))[:MAX_FAULTS]


def form_faults(document: Mapping[str, Any]) -> list[DocumentFault]:
    """Return the places at which ``document`` does not have the form that the client accepts."""
    return [_fault(error) for error in _validator().iter_errors(document)]  # pyright: ignore[reportUnknownMemberType]


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # slow to import, and few requests publish

    schema = json.loads(SCHEMA.read_text())
    _anchor(schema)
    return Draft202012Validator(schema)


def _anchor(schema: Any) -> None:
    """Give ``$`` its meaning in JavaScript. In Python it also matches before a final line break."""
    if isinstance(schema, dict):
        node = cast("dict[str, Any]", schema)
        if isinstance(pattern := node.get("pattern"), str):
            node["pattern"] = re.sub(r"\$$", r"\\Z", pattern)
        for value in node.values():
            _anchor(value)
    elif isinstance(schema, list):
        for value in cast("list[Any]", schema):
            _anchor(value)


def _fault(error: ValidationError) -> DocumentFault:
    closest = _closest(error)
    return DocumentFault(path=pointer(list(closest.absolute_path)), message=_shortened(closest.message))


def _closest(error: ValidationError) -> ValidationError:
    """Return the error of the alternative that the value most likely meant, if a choice has no match."""
    while error.context:
        alternatives: dict[Any, list[ValidationError]] = {}
        for suberror in error.context:
            alternatives.setdefault(suberror.relative_schema_path[0], []).append(suberror)
        error = min(alternatives.values(), key=_distance)[0]
    return error


def _distance(errors: list[ValidationError]) -> tuple[bool, bool, int]:
    """Return the distance of an alternative: a wrong type counts most, then a wrong discriminating word."""
    other_type = any(suberror.validator == "type" and not suberror.relative_path for suberror in errors)
    other_word = any(suberror.validator == "enum" and len(suberror.relative_path) <= 1 for suberror in errors)
    return other_type, other_word, len(errors)


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:200]} ... {message[-80:]}"


def _oddities(value: Any, path: Path_) -> Iterator[DocumentFault]:
    """Find values that JSON or JavaScript cannot represent exactly."""
    if len(path) > MAX_DEPTH:
        yield DocumentFault(path=pointer(path[:3]), message=f"it is nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key, member in cast("dict[Any, Any]", value).items():
            if not isinstance(key, str) or key == "__proto__" or _has_surrogate(key):
                yield DocumentFault(path=pointer(path), message=f"it has a key that cannot be used: {key!r}")
            else:
                yield from _oddities(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(cast("list[Any]", value)):
            yield from _oddities(member, (*path, index))
    elif problem := _odd_value(value):
        yield DocumentFault(path=pointer(path), message=problem)


def _odd_value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return "it holds half of a character" if _has_surrogate(value) else ""
    if isinstance(value, int | float):
        exact = math.isfinite(value) and abs(value) <= LARGEST_EXACT
        return "" if exact else f"numbers go up to {LARGEST_EXACT}"
    return "it is no JSON value"


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _secrets(value: Any, path: Path_) -> Iterator[DocumentFault]:
    if isinstance(value, dict):
        for key, member in cast("dict[str, Any]", value).items():
            yield from _secrets(key, (*path, key))
            yield from _secrets(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(cast("list[Any]", value)):
            yield from _secrets(member, (*path, index))
    elif isinstance(value, str) and (problem := _secret(path, value)):
        yield DocumentFault(path=pointer(path), message=problem)


def _secret(path: Path_, text: str) -> str:
    if "{file:" in text:
        return "it refers to a file, which would be read on every member's machine: use {env:NAME}"
    named = _is_secret_name(path) and path[-1:] != (text,)
    literal = _SCHEME.sub("", _REFERENCE.sub("", text)).strip()
    if (named and literal) or _SECRET_VALUE.search(text) or _URL_SECRET.search(text):
        return (
            "it holds a secret, which every member could read: write {env:NAME} and have members set the variable, "
            "or store the key as a provider credential of the workspace"
        )
    return ""


def _is_secret_name(path: Path_) -> bool:
    names = [part for part in path if isinstance(part, str)]
    return bool(names) and bool(_SECRET_NAME.search(names[-1]) or _SECRET_HEADER.search(names[-1]))
