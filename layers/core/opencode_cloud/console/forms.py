"""Forms of the console, validated by the same models as the request bodies of the API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from opencode_cloud.http.requests import form_pairs
from opencode_cloud.kit import http_events, money
from opencode_cloud.kit.errors import BadRequest, ServiceError, Unprocessable
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop

Model = TypeVar("Model", bound=BaseModel)
MOST_FIELDS = 1000
"""A policy has up to 200 rules of other models with four fields each."""
LARGEST_VERSION = 999_999_999
LONGEST_NUMBER = 18
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
"""A number with commas between thousands. A comma elsewhere may be a decimal comma, so it is refused."""
_FIELD = re.compile(r"`(\w+)`:? (.+)", re.DOTALL)


class Form(msgspec.Struct, frozen=True):
    """The fields of a submitted form. A missing field counts as empty."""

    fields: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict[str, Sequence[str]])

    def one(self, name: str) -> str:
        """Return a field's first value, stripped and with LF as line break."""
        values = self.fields.get(name, ())
        return values[0].strip().replace("\r\n", "\n") if values else ""

    def many(self, name: str) -> list[str]:
        """Return all values of a field, such as those of check boxes."""
        return list(self.fields.get(name, ()))

    def lines(self, name: str) -> list[str]:
        """Return the non-empty lines of a field."""
        return [line.strip() for line in self.one(name).splitlines() if line.strip()]

    def dollars(self, name: str) -> int:
        """Return an amount of US dollars in micro-cents, 0 or more; raises :class:`InvalidForm`."""
        try:
            amount = money.parse_dollars(self._number(name))
        except ValueError:
            amount = -1
        if amount < 0:
            raise InvalidForm([DocumentFault(path=f"/{name}", message=gettext_noop("Write an amount such as 20.00"))])
        return amount

    def whole(self, name: str) -> int:
        """Return a whole number, 0 or more; raises :class:`InvalidForm`."""
        text = self._number(name)
        if not (text.isascii() and text.isdigit()) or len(text) > LONGEST_NUMBER:
            raise InvalidForm([DocumentFault(path=f"/{name}", message=gettext_noop("Write a whole number"))])
        return int(text)

    def _number(self, name: str) -> str:
        text = self.one(name).removeprefix("$")
        return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text

    def version(self) -> int:
        """Return the version that the form was rendered from; raises ``malformed_form`` (400)."""
        text = self.one("version")
        if not text.isascii() or not text.isdigit() or int(text[:10]) > LARGEST_VERSION:
            raise BadRequest("malformed_form", "This form does not say which version it was made from. Reload it.")
        return int(text)


class InvalidForm(Unprocessable):
    """The form has invalid values; ``faults`` names each field."""

    def __init__(self, faults: Sequence[DocumentFault]) -> None:
        named = "; ".join(f"{fault.path.strip('/') or 'the form'}: {fault.message}" for fault in faults)
        super().__init__("invalid_form", f"Nothing was changed. {named}.")
        self.faults = list(faults)


def read(event: http_events.Event) -> Form:
    """Return the form in a request's body; raises ``malformed_form`` (400) if the body is not a form."""
    fields: dict[str, list[str]] = {}
    for name, value in form_pairs(event, MOST_FIELDS, keep_blank=True):
        fields.setdefault(name, []).append(value)
    return Form(fields)


def checked(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Validate ``values`` as the API would; raises :class:`InvalidForm` (422)."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidForm([fault for detail in error.errors() for fault in _faults(detail)]) from error


def faults_of(error: ServiceError) -> Sequence[DocumentFault]:
    """Return the faults that an error names, each with its field; the API's errors name one between backticks."""
    if isinstance(error, InvalidForm):
        return error.faults
    match = _FIELD.fullmatch(error.message)
    return [DocumentFault(path=f"/{match[1]}", message=match[2])] if match else []


def _faults(error: ErrorDetails) -> list[DocumentFault]:
    path = "".join(f"/{part}" for part in error["loc"])
    if error["type"] == "fields":  # a rule between fields, which names each of them
        return [DocumentFault(path=f"{path}/{field}", message=words) for field, words in error.get("ctx", {})["faults"]]
    return [DocumentFault(path=path, message=_words(error))]


_MEANINGS: Mapping[str, str] = {
    "missing": gettext_noop("Fill in this field"),
    "string_too_short": gettext_noop("Fill in this field"),
    "string_too_long": gettext_noop("Write at most {max_length} characters"),
    "too_short": gettext_noop("Choose at least one"),
    "too_long": gettext_noop("Name at most {max_length}"),
    "enum": gettext_noop("Choose one of the offered values"),
    "literal_error": gettext_noop("Choose one of the offered values"),
    "int_parsing": gettext_noop("Write a whole number"),
    "int_type": gettext_noop("Write a whole number"),
    "greater_than_equal": gettext_noop("Write {ge} or more"),
    "less_than_equal": gettext_noop("Write {le} or less"),
}
"""Errors of validation in words for people, who see no types, by pydantic's name of the error."""


def _words(error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":  # a form's error must not show a regular expression
        name = error["loc"][-1]
        if name == "name":
            return gettext_noop("Write small letters, digits and hyphens")
        if name == "secret":
            return gettext_noop("Paste the key without blanks or line breaks")
        if isinstance(name, int):
            return gettext_noop("a pattern has no blanks, quotes or braces")
        return gettext_noop("write it as provider/model")
    words = _MEANINGS.get(error["type"])
    return _(words).format(**error.get("ctx", {})) if words else error["msg"].removeprefix("Value error, ")
