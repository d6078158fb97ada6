"""Form-encoded parameters: `items[0][price]=...` becomes lists and objects of strings."""

import re
from typing import Any
from urllib.parse import parse_qsl

from local.stripe.errors import invalid

PART = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> dict[str, Any]:
    """Return the parameters of a body or of a query; every value is a string.

    Raises:
        ParametersRefused: A name is malformed or given twice.
    """
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _put(values, name, _path(name), value)
    return {name: _lists(value) for name, value in values.items()}


def _path(name: str) -> list[str]:
    head, _, _ = name.partition("[")
    rest = name[len(head) :]
    if not head or PART.sub("", rest):
        raise invalid(f"Invalid parameter name: {name}", "parameter_unknown", name)
    return [head, *PART.findall(rest)]


def _put(values: dict[str, Any], name: str, path: list[str], value: str) -> None:
    here = values
    for part in path[:-1]:
        here = here.setdefault(part, {})
        if isinstance(here, str):
            raise invalid(f"Invalid object: {name} is also given as text", None, name)
    # Stripe takes `expand[]=a&expand[]=b` for a list, too.
    last = path[-1] or str(len(here))
    if last in here:
        raise invalid(f"The parameter {name} is given twice", None, name)
    here[last] = value


def _lists(value: Any) -> Any:
    """Turn objects whose names are 0, 1, 2 and so on into lists."""
    if not isinstance(value, dict):
        return value
    members: dict[str, Any] = {name: _lists(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if members and all(name.isdigit() for name in members):
        return [members[name] for name in sorted(members, key=int)]
    return members
