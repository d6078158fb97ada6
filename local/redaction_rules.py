"""Makes the list of rules for secrets from gitleaks' configuration (docs/redaction.md, "Rules")."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from opencode_cloud.sharing.redaction.rules import FOLDER, Exceptions, Rule, RuleList

LIST = FOLDER / "gitleaks.json"
LEFT_OUT = {
    "hashicorp-tf-password": "any quoted word after `password =`; it relies on the name of the file",
    "sourcegraph-access-token": "any hash of a commit, in a text that names the product",
}
"""Rules that are not precise without the name of a file, and why."""
SHORTEST_BEGINNING = 4
"""Characters of a literal that announces a secret before it is complete, and characters that must follow it."""
_NEEDLESS = r"[\w.-]{0,50}?"
"""The beginning of many rules. It makes the match longer, not the secret, and each search three times as slow."""
GENERIC = "generic-api-key"
_END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""
_GENERIC_END = r"""(?:[\x60'"\s;,.&<|}\x80-\xff]|\\[nr]|$)"""
_NO_DIGIT = Exceptions(regexes=("^[^0-9]*$",))
"""The generic rule finds names in code. They rarely have digits, and keys have."""
_WIDENED = {
    _END: r"(?:[^\w/+=-]|$)",
    r"""(?:$|[\\'"\x60\s<),])""": r"(?:$|[^\w~-])",
    r"""[\s'"]{0,3}(?:=|""": r"""(?:['"]\][ \t]{0,2}|[\s'"]{0,3})(?:=|""",
}
"""Parts of many rules, and their form here.

People write a secret before any mark, such as a full stop. A name may be a subscript, as in ``environ["KEY"] = ``.
"""
_LITERAL = re.compile(
    r"(?P<before>(?:\(\?i\))?(?:\\b)?\(?)(?P<literal>[\w./~-]+|(?:[\w-]*\(\?:[\w|-]+\)[\w-]+)+)"
    r"(?P<flag>\(\?i\))?(?:\(\?:)?(?P<class>\[(?:\\.|[^\]])+\]|\\w)\{(?P<least>\d+)"
)


def write(source: Path, version: str) -> None:
    """Write the list from ``source``, gitleaks' ``config/gitleaks.toml`` of ``version``."""
    rules = converted(tomllib.loads(source.read_text()), version)
    LIST.write_bytes(msgspec.json.format(msgspec.json.encode(msgspec.to_builtins(rules)), indent=1) + b"\n")


def converted(configuration: dict[str, Any], version: str) -> RuleList:
    """Return the rules of a configuration that need no file name."""
    return RuleList(
        source="https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml",
        version=version,
        licence="MIT",
        rules=tuple(_rules(configuration["rules"])),
        exceptions=(_exceptions(configuration["allowlist"]),),
    )


def _rules(rules: list[dict[str, Any]]) -> Iterator[Rule]:
    for rule in rules:
        if "regex" not in rule or rule["id"] in LEFT_OUT:
            continue
        yield Rule(
            id=rule["id"],
            regex=_widened(rule),
            keywords=tuple(keyword.lower() for keyword in rule.get("keywords", ())),
            entropy=float(rule.get("entropy", 0)),
            group=rule.get("secretGroup", 0),
            exceptions=tuple(
                [_exceptions(each) for each in rule.get("allowlists", ()) if not _needs_path(each)]
                + [_NO_DIGIT] * (rule["id"] == GENERIC)
            ),
            unfinished=unfinished(rule["regex"]),
            announcements=announcements(rule["regex"], [keyword.lower() for keyword in rule.get("keywords", ())]),
        )


def _widened(rule: dict[str, Any]) -> str:
    regex: str = rule["regex"].replace(_NEEDLESS, "")
    if rule["id"] == GENERIC:
        regex = regex.replace(_END, _GENERIC_END)
    for narrow, wide in _WIDENED.items():
        regex = regex.replace(narrow, wide)
    return regex


def _needs_path(allowlist: dict[str, Any]) -> bool:
    """Tell whether an exception holds for some files only."""
    return "paths" in allowlist and allowlist.get("condition") == "AND"


def _exceptions(allowlist: dict[str, Any]) -> Exceptions:
    return Exceptions(
        target=allowlist.get("regexTarget", "secret"),
        all=allowlist.get("condition", "OR").upper() == "AND",
        regexes=tuple(allowlist.get("regexes", ())),
        stopwords=tuple(word.lower() for word in allowlist.get("stopwords", ())),
    )


def unfinished(regex: str) -> str:
    """Return the form of a secret's beginning; empty if no literal text announces the secret."""
    match = _LITERAL.match(regex)
    if match is None or match["class"].startswith("[^"):
        return ""
    literal, least = match["literal"], int(match["least"])
    if len(re.sub(r"\(\?:|\)|\|.*?(?=\))", "", literal)) < SHORTEST_BEGINNING or least <= SHORTEST_BEGINNING:
        return ""
    flag = "(?i)" if match["before"].startswith("(?i)") else ""
    # A dot of a literal stands for any character in the rule, too.
    return f"{flag}\\b(?:{literal}){match['flag'] or ''}{match['class']}{{{SHORTEST_BEGINNING},{least}}}"


def announcements(regex: str, keywords: Sequence[str]) -> tuple[str, ...]:
    """Return the literals of a secret's beginning in lower case; none if each of them contains a keyword."""
    match = _LITERAL.match(regex)
    if match is None or not unfinished(regex):
        return ()
    literals = [literal.lower() for literal in _alternatives(match["literal"])]
    known = all(any(keyword in literal for keyword in keywords) for literal in literals)
    return () if known else tuple(literals)


def _alternatives(literal: str) -> list[str]:
    """Return the texts of a literal with groups, such as ``(?:a|b)_c``."""
    before, group, after = literal.partition("(?:")
    if not group:
        return [literal]
    choices, _, rest = after.partition(")")
    return [before + choice + end for choice in choices.split("|") for end in _alternatives(rest)]
