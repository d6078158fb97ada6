"""Rules for the members of requests: what becomes of each on the way to an upstream of another format.

Each format has one table, in its own ``members.py``. docs/formats.md shows the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec

from opencode_cloud.gateway.formats.reading import Node, camel
from opencode_cloud.gateway.formats.writing import cannot_carry


class Treatment(StrEnum):
    """The treatment of a member."""

    CARRY = "carry"
    """Its value goes on, under the target's name."""
    TRANSLATE = "translate"
    """Its value is written in the target's form."""
    FLATTEN = "flatten"
    """A group in it becomes its elements."""
    EMULATE = "emulate"
    """The gateway does it where the target cannot."""
    DROP = "drop"
    """It is a hint: the answer is right without it."""
    REFUSE = "refuse"
    """The answer would be wrong without it."""


class MemberRule(msgspec.Struct, frozen=True):
    """The treatment of one member, and the reason."""

    treatment: Treatment
    reason: str = ""


MemberRules: TypeAlias = Mapping[str, MemberRule]
"""The rules of a format by the path of the member. A member without a rule is dropped as an unknown hint."""


def rules(**groups: Mapping[str, str] | str) -> dict[str, MemberRule]:
    """Return rules by treatment: names that spaces separate, or reasons by name."""
    found: dict[str, MemberRule] = {}
    for treatment, names in groups.items():
        reasons = dict.fromkeys(names.split(), "") if isinstance(names, str) else names
        found |= {name: MemberRule(Treatment(treatment), reason) for name, reason in reasons.items()}
    return found


def check_members(node: Node, members: MemberRules, parent: str = "") -> Iterator[str]:
    """Yield the names of the members that are dropped; raise :class:`Malformed` for one that must not be lost."""
    for given, value in node.members().items():
        if value is None:
            continue
        name = parent + _spelling(given, parent, members)
        rule = members.get(name)
        if _is_group(name, members):
            yield from check_members(node.at(name.removeprefix(parent)), members, f"{name}.")
        elif rule is None or rule.treatment is Treatment.DROP:
            if value not in (False, 0, "", [], {}):
                yield name
        elif rule.treatment is Treatment.REFUSE and value:
            raise cannot_carry(node.at(given), rule.reason)


def _spelling(given: str, parent: str, members: MemberRules) -> str:
    """Return the name in the table: some formats also accept a name in snake_case."""
    known = (name for name in (given, camel(given)) if parent + name in members or _is_group(parent + name, members))
    return next(known, given)


def _is_group(name: str, members: MemberRules) -> bool:
    return any(key.startswith(f"{name}.") for key in members)
