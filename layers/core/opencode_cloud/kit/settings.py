"""Settings of a function: a dataclass declares environment variables, and :func:`load` reads them at the start.

A field ``files_table: Annotated[str, "the name of the table of files"]`` declares the variable ``FILES_TABLE``; a
field with a default is optional. A dataclass and not pydantic, since functions that people wait for start without it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")


class InvalidSetting(RuntimeError):
    """An environment variable of a function is missing or invalid."""


@dataclass(frozen=True, slots=True)
class Separator:
    """The text between the elements of a list; without it, blanks separate them."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable that a function reads."""

    name: str
    meaning: str
    required: bool
    type: Any
    separator: str | None = None

    def parse(self, text: str) -> Any:
        """Parse ``text``; raises :class:`InvalidSetting`."""
        if get_origin(self.type) is tuple:
            return tuple(element.strip() for element in text.split(self.separator) if element.strip())
        if get_origin(self.type) is Literal:
            return self._choose(text, {str(value): value for value in get_args(self.type)})
        if self.type is bool:
            return self._choose(text, {"0": False, "1": True})
        if self.type is int:
            try:
                return int(text)
            except ValueError as error:
                raise self._invalid(text, "a whole number") from error
        return text

    def missing(self) -> InvalidSetting:
        """Return the error for a start without this variable."""
        return InvalidSetting(
            f"The environment variable {self.name} is missing: "
            f"set it to {self.meaning}, or deploy the stack of this function again."
        )

    def _choose(self, text: str, values: Mapping[str, Any]) -> Any:
        if text not in values:
            raise self._invalid(text, " or ".join(values))
        return values[text]

    def _invalid(self, text: str, expected: str) -> InvalidSetting:
        return InvalidSetting(
            f"The environment variable {self.name} is {text!r}: set it to {expected}, {self.meaning}."
        )


def load(kind: type[Settings], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings ``kind`` from the environment; an empty variable counts as missing.

    Raises:
        InvalidSetting: The message names the variable and the expected value.
    """
    values: dict[str, Any] = {}
    for name, variable in variables(kind).items():
        if text := environ.get(variable.name, ""):
            values[name] = variable.parse(text)
        elif variable.required:
            raise variable.missing()
    return kind(**values)


def variables(kind: type[DataclassInstance]) -> dict[str, Variable]:
    """Return the declared variables of the settings ``kind``, by field."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _variable(field, hints[field.name]) for field in fields(kind)}


def _variable(field: Field[Any], hint: Any) -> Variable:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"the setting {field.name} needs a meaning: write Annotated[type, 'the ...']")
    type_, meaning, *more = get_args(hint)
    separator = next((item.text for item in more if isinstance(item, Separator)), None)
    return Variable(field.name.upper(), meaning, field.default is MISSING, type_, separator)
