"""The tables of docs/formats.md that state the rules of the formats. ``make formats`` writes them."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec

from opencode_cloud.gateway.formats.limits import TargetLimits
from opencode_cloud.gateway.formats.members import MemberRules, Treatment
from opencode_cloud.gateway.formats.registry import WIRE_FORMATS

_TITLES = {
    "longest_user": "longest id of a user, in characters",
    "address_as_user": "an e-mail address as the id of a user",
    "least_output": "smallest limit of an answer, in tokens",
    "tool_name": "names of tools",
    "longest_name": "longest name of a tool, in characters",
    "most_tools": "tools",
    "uncounted_models": "models without this limit of tools",
    "strict_schemas": "a tool's schema must be an object with `properties`",
    "closed_tools": "a strict tool's schema must be closed, with each property required",
    "most_stops": "stop sequences",
    "blank_stops": "stop sequences of white space",
    "trailing_space": "white space at the end of the last turn of the assistant",
    "first_turn": "a first turn of the assistant",
    "unfinishing_models": "models that refuse a last turn of the assistant",
    "repeated_turns": "turns of the assistant in a row",
    "one_call": "one tool call at a time",
    "parallel_models": "models that refuse to be told about several tool calls at a time",
    "plain_models": "models that take neither stop sequences nor settings of sampling",
    "unsampled_models": "models that take no settings of sampling",
    "verbose_models": "models that take a verbosity",
    "most_marks": "cache marks",
    "ignored": "hints that are dropped",
    "free_json": "JSON of any form",
    "toolless_json": "models that take a form of the answer only without tools",
}


def limits_table() -> str:
    """Return the limits of all formats, a column for each."""
    wires = list(WIRE_FORMATS.values())
    names = [field.name for field in msgspec.structs.fields(TargetLimits)]
    rows = [[_TITLES[name], *(_cell(getattr(wire.limits, name)) for wire in wires)] for name in names]
    return _table([["", *(wire.name.value for wire in wires)], *rows])


def members_tables() -> str:
    """Return the treatment of each format's members on the way to another format."""
    return "\n".join(f"**{wire.name.value}**\n\n{_rules(wire.members)}" for wire in WIRE_FORMATS.values())


def _rules(members: MemberRules) -> str:
    rows = [["member", "treatment", "because"]]
    for treatment in Treatment:
        reasons = defaultdict[str, list[str]](list)
        for name, rule in members.items():
            if rule.treatment is treatment:
                reasons[rule.reason].append(f"`{name}`")
        rows += [[", ".join(names), treatment.value, reason] for reason, names in reasons.items()]
    return _table(rows)


SECTIONS: dict[str, Callable[[], str]] = {"limits": limits_table, "members": members_tables}
"""The generated sections of the page, by the name in their marks."""


def written(page: str) -> str:
    """Return a page whose generated sections are current."""
    for name, section in SECTIONS.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        text = f"{begin}\n{section()}{end}"
        page = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _, text=text: text, page, flags=re.DOTALL)
    return page


def _cell(value: bool | int | frozenset[str] | re.Pattern[str] | None) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case frozenset():
            return ", ".join(f"`{name}`" for name in sorted(value))
        case None:
            return "none"
        case _:
            return f"`{value.pattern}`"


def _table(rows: list[list[str]]) -> str:
    head, *rest = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows]
    return "".join([head, "|" + " --- |" * len(rows[0]) + "\n", *rest])


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
