"""Which parameters a method takes: read from the TypedDicts of the `stripe` library, so that both agree."""

import re
import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import stripe
from stripe import RequestOptions
from stripe.params import billing_portal, checkout, tax, test_helpers
from typing_extensions import get_type_hints, is_typeddict

from local.stripe.errors import invalid, lacking, missing

OPTIONS = frozenset(RequestOptions.__annotations__)
"""Members of some TypedDicts that are no parameters."""
GROUPS: dict[str, Any] = {
    "": stripe.params,
    "billing_portal": billing_portal,
    "checkout": checkout,
    "tax": tax,
    "test_helpers": test_helpers,
}
METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500
UNFIT = object()


def check(name: str, given: dict[str, Any], handled: frozenset[str]) -> dict[str, Any]:
    """Return the parameters in their types.

    Args:
        name: The TypedDict under `stripe.params`, such as `checkout.SessionCreateParams`.
        given: Parameters as text.
        handled: Names that the stand-in acts on, with dots for members: `price_data.unit_amount`. A name stands for
            everything in it.

    Raises:
        ParametersRefused: A parameter is unknown, missing, or not of its type.
        StripeError: Stripe has such a parameter and the stand-in does not act on it (501).
    """
    values = _typed_dict(_class(name), given, "")
    for path in _paths(values):
        if not any(path == each or path.startswith(f"{each}.") for each in handled | {"expand"}):
            raise lacking(f"the parameter {path} of {name.removesuffix('Params')}")
    return values


def names(name: str) -> frozenset[str]:
    """Return the names of all parameters of a TypedDict, without its members' members."""
    return frozenset(_members(_class(name)))


def _class(name: str) -> Any:
    group, _, last = name.rpartition(".")
    return getattr(GROUPS[group], last)


@cache
def _members(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, localns={"StripeContext": object, "Mapping": Mapping})
    return {name: hint for name, hint in hints.items() if name not in OPTIONS}


def _typed_dict(kind: Any, given: Any, path: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise invalid("Invalid object", None, path)
    members = _members(kind)
    values: dict[str, Any] = {}
    for name, value in given.items():  # pyright: ignore[reportUnknownVariableType]
        inner = _inner(path, str(name))  # pyright: ignore[reportUnknownArgumentType]
        if name not in members:
            raise invalid(f"Received unknown parameter: {inner}", "parameter_unknown", inner)
        values[name] = _value(members[name], value, inner)
    for name in sorted(kind.__required_keys__ - OPTIONS - values.keys()):
        raise missing(_inner(path, name))
    return values


def _value(hint: Any, value: Any, path: str) -> Any:
    choices = _choices(hint)
    words = [word for choice in choices if get_origin(choice) is Literal for word in get_args(choice)]
    if value == "" and "" in words:
        return ""
    if value == "" and str in choices:
        message = f"You passed an empty string for '{path}'. It cannot be unset; remove it or give it a value."
        raise invalid(message, "parameter_invalid_empty", path)
    words = [word for word in words if word != ""]
    if words and isinstance(value, str) and value in words:
        return value
    # The library opens enumerations by `| str`; Stripe accepts the listed words only.
    others = [choice for choice in choices if get_origin(choice) is not Literal and not (words and choice is str)]
    for choice in others:
        found = _converted(choice, value, path)
        if found is not UNFIT:
            return found
    if words:
        raise invalid(f"Invalid {path}: must be one of {', '.join(map(str, words))}", None, path)
    kind = {int: "integer", bool: "boolean", float: "decimal"}.get(others[0], "value") if others else "value"
    raise invalid(f"Invalid {kind}: {value}", f"parameter_invalid_{kind}" if kind == "integer" else None, path)


def _choices(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [each for choice in get_args(hint) for each in _choices(choice)]
    is_object = isinstance(get_origin(hint) or hint, type) and issubclass(get_origin(hint) or hint, stripe.StripeObject)
    return [] if is_object and not is_typeddict(hint) else [hint]


def _converted(kind: Any, value: Any, path: str) -> Any:
    if is_typeddict(kind):
        return _typed_dict(kind, value, path)
    origin = get_origin(kind)
    if origin is list:
        return _list(get_args(kind)[0], value, path)
    if origin is dict:
        return _dictionary(value, path)
    if not isinstance(value, str):
        return UNFIT
    if kind is bool:
        return {"true": True, "false": False}.get(value, UNFIT)
    if kind is int:
        return int(value) if re.fullmatch(r"-?\d{1,15}", value) else UNFIT
    if kind in (str, Any):
        return value
    # Decimals stay text, as in the answers.
    return value if re.fullmatch(r"-?\d+(\.\d+)?", value) else UNFIT


def _list(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, list):
        raise invalid("Invalid array", None, path)
    return [_value(kind, each, f"{path}[{index}]") for index, each in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _dictionary(value: Any, path: str) -> Any:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        raise invalid("Invalid hash", None, path)
    pairs: dict[str, str] = value  # pyright: ignore[reportUnknownVariableType]
    if len(pairs) > METADATA_KEYS or any(
        len(key) > METADATA_KEY_LENGTH or len(text) > METADATA_VALUE_LENGTH for key, text in pairs.items()
    ):
        raise invalid(f"{path} has too many keys, or a key or value that is too long.", None, path)
    return pairs


def _paths(values: Any, path: str = "") -> Iterable[str]:
    if isinstance(values, dict) and values and path != "metadata" and not path.endswith(".metadata"):
        for name, value in values.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _paths(value, f"{path}.{name}" if path else str(name))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(values, list) and any(isinstance(each, dict) for each in values):  # pyright: ignore[reportUnknownVariableType]
        for each in values:  # pyright: ignore[reportUnknownVariableType]
            yield from _paths(each, path)
    elif path:
        yield path


def _inner(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name
