"""Settings of a function: a class declares environment variables, and :func:`load` reads them at the start.

A field ``files_table: Annotated[str, "the name of the table of files"]`` declares the variable ``FILES_TABLE``; a
field with a default is optional. The class is no dataclass and no model of pydantic, since each would take 0.5 ms of a
start, and no struct of msgspec, since settings of functions inherit from several others (docs/decisions/038).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform, get_args, get_origin

import msgspec

AnySettings = TypeVar("AnySettings", bound="FunctionSettings")


class InvalidSetting(RuntimeError):
    """An environment variable of a function is missing or invalid."""


class Separator(msgspec.Struct, frozen=True):
    """The text between the elements of a list; without it, blanks separate them."""

    text: str


class Variable(msgspec.Struct, frozen=True):
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


@dataclass_transform(frozen_default=True, kw_only_default=True)
class FunctionSettings:
    """Values of the fields that a subclass declares."""

    def __init__(self, **values: Any) -> None:
        """Take the values by name; fields without one have their default."""
        vars(self).update(values)
        self.check()

    def check(self) -> None:
        """Check settings that depend on each other; raises :class:`InvalidSetting`."""


def load(kind: type[AnySettings], environ: Mapping[str, str] = os.environ) -> AnySettings:
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


def variables(kind: type[FunctionSettings]) -> dict[str, Variable]:
    """Return the declared variables of the settings ``kind``, by field."""
    found: dict[str, Variable] = {}
    for base in reversed(kind.__mro__):
        names = vars(sys.modules[base.__module__])
        for name, hint in vars(base).get("__annotations__", {}).items():
            # `typing.get_type_hints` takes three times as long, and every start reads the settings.
            type_ = eval(hint, names) if isinstance(hint, str) else hint  # noqa: S307 - our own annotations
            found[name] = _variable(name, type_, required=not hasattr(kind, name))
    return found


def _variable(name: str, hint: Any, *, required: bool) -> Variable:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"the setting {name} needs a meaning: write Annotated[type, 'the ...']")
    type_, meaning, *more = get_args(hint)
    separator = next((item.text for item in more if isinstance(item, Separator)), None)
    return Variable(name.upper(), meaning, required, type_, separator)
