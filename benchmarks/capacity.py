"""Sizes and capacity units of DynamoDB requests, by the rules of its developer guide ("Read/write capacity units").

The emulator answers write units as AWS does, but a flat unit for every read; so reads are computed here.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

READ_UNIT_BYTES = 4096
_CONTAINER_BYTES = 3  # a list or map; each of its elements adds one byte


def item_bytes(item: Mapping[str, Any]) -> int:
    """Return the size of an item: the names of its attributes in UTF-8 and their values."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Mapping[str, Any]) -> int:
    """Return the size of one attribute value in DynamoDB's typed form, such as ``{"S": "text"}``."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(b64decode(content) if isinstance(content, str) else content)  # base64 in requests and answers
        case "N":
            return _number_bytes(content)
        case "SS" | "NS" | "BS":
            return sum(value_bytes({kind[0]: element}) for element in content)
        case "L":
            return _CONTAINER_BYTES + sum(1 + value_bytes(element) for element in content)
        case "M":
            return _CONTAINER_BYTES + len(content) + item_bytes(content)
        case _:  # BOOL, NULL
            return 1


def read_units(items: Iterable[Mapping[str, Any]], *, consistent: bool) -> float:
    """Return the units of one GetItem or Query that read ``items``: per started 4 KB, half if eventual."""
    blocks = max(1, math.ceil(sum(item_bytes(item) for item in items) / READ_UNIT_BYTES))
    return blocks if consistent else blocks / 2


def _number_bytes(number: str) -> int:
    """About one byte per two significant digits, and one more."""
    digits = number.lstrip("-").replace(".", "").strip("0")
    return math.ceil(len(digits) / 2) + 1 + number.startswith("-")
