"""The rules by which secrets are recognized: those of gitleaks, and a few of our own.

``gitleaks.json`` is made from gitleaks' configuration (``python -m local redaction-rules``). It keeps the regular
expressions, keywords, entropies and exceptions. gitleaks is under the MIT licence (``gitleaks-license.txt``).
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from opencode_cloud.kit.linear_patterns import LinearPattern, PatternSet, escaped
from opencode_cloud.sharing.redaction.headers import KIND as HEADER

FOLDER = Path(__file__).parent
FILES = ("gitleaks.json", "own.json")
"""The lists of rules. In a tie the first rule of the first list names a finding."""


class Exceptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Matches that are no secrets. One condition suffices; with ``all`` every given kind of condition must hold."""

    target: Literal["secret", "match", "line"] = "secret"
    """The text that ``regexes`` search."""
    all: bool = False
    regexes: tuple[str, ...] = ()
    stopwords: tuple[str, ...] = ()
    """Texts in lower case that no secret contains."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form of one kind of secret."""

    id: str
    """The kind, as it replaces the secret."""
    regex: str
    keywords: tuple[str, ...] = ()
    """Texts in lower case, of which every text with such a secret contains one; none: every text is searched."""
    entropy: float = 0.0
    """The least entropy of the secret in bits for each byte."""
    group: int = 0
    """The group of ``regex`` that is the secret; 0: the first that matched, or else the whole."""
    exceptions: tuple[Exceptions, ...] = ()
    unfinished: str = ""
    """The form of such a secret's beginning, at the end of a text that is still being written."""
    announcements: tuple[str, ...] = ()
    """Texts in lower case, of which every beginning contains one; none: the keywords."""


class RuleList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules from one source."""

    source: str
    version: str
    licence: str
    rules: tuple[Rule, ...]
    exceptions: tuple[Exceptions, ...] = ()
    """Exceptions to all rules of the list."""


class Found(msgspec.Struct, frozen=True):
    """A secret in a text: its place in bytes, and its kind."""

    start: int
    end: int
    kind: str
    generic: bool = False
    """True for a secret that only its surroundings show."""


class Scan(NamedTuple):
    """The findings of one text. Places may overlap."""

    secrets: list[Found]
    beginnings: list[Found]
    """Beginnings of secrets that end at a quotation mark, which may be the end of a text that grows."""


class CompiledExceptions:
    """Exceptions, compiled when they are first needed."""

    def __init__(self, exceptions: Exceptions) -> None:
        self._exceptions = exceptions

    @cached_property
    def _stopwords(self) -> PatternSet:
        return PatternSet([escaped(word) for word in self._exceptions.stopwords], ignore_case=True)

    @cached_property
    def _regexes(self) -> list[LinearPattern]:
        return [LinearPattern(regex.encode()) for regex in self._exceptions.regexes]

    def cover(self, secret: bytes, match: bytes, line: bytes) -> bool:
        """Tell whether a match is an exception."""
        held: list[bool] = []
        if self._exceptions.regexes:
            target = {"secret": secret, "match": match, "line": line}[self._exceptions.target]
            held.append(any(regex.found_in(target) for regex in self._regexes))
        if self._exceptions.stopwords:
            held.append(bool(self._stopwords.found_in(secret)))
        return bool(held) and (all(held) if self._exceptions.all else any(held))


class CompiledRule:
    """A rule, compiled when a text first contains one of its keywords."""

    def __init__(self, rule: Rule, shared: tuple[CompiledExceptions, ...]) -> None:
        """``shared`` are the exceptions of the rule's list."""
        self.rule = rule
        self._exceptions = (*shared, *map(CompiledExceptions, rule.exceptions))

    @cached_property
    def _pattern(self) -> LinearPattern:
        return LinearPattern(self.rule.regex.encode())

    @cached_property
    def _beginning(self) -> LinearPattern:
        return LinearPattern(f'({self.rule.unfinished})"'.encode())

    def find_beginnings(self, text: bytes) -> list[Found]:
        """Return beginnings of such secrets at quotation marks in ``text``."""
        return [Found(*span, self.rule.id) for _, span, *_ in self._beginning.matches(text)]

    def find(self, text: bytes) -> list[Found]:
        """Return the secrets of this kind in ``text``."""
        found: list[Found] = []
        for whole, *groups in self._pattern.matches(text):
            start, end = self._secret(whole, groups)
            secret = text[start:end]
            if self.rule.entropy and entropy_of(secret) < self.rule.entropy:
                continue
            if any(each.cover(secret, text[slice(*whole)], _line(text, whole)) for each in self._exceptions):
                continue
            found.append(Found(start, end, self.rule.id, self.rule.id.startswith("generic")))
        return found

    def _secret(self, whole: tuple[int, int], groups: list[tuple[int, int]]) -> tuple[int, int]:
        if self.rule.group:
            return groups[self.rule.group - 1]
        return next((span for span in groups if span[1] > span[0]), whole)


class Scanner:
    """Finds secrets of all kinds; for any number of threads."""

    def __init__(self, lists: tuple[RuleList, ...]) -> None:
        rules = [
            CompiledRule(rule, tuple(map(CompiledExceptions, each.exceptions))) for each in lists for rule in each.rules
        ]
        due: dict[str, list[int]] = {}
        begun: dict[str, list[int]] = {}
        for position, rule in enumerate(each.rule for each in rules):
            for sign in rule.keywords:
                due.setdefault(sign, []).append(position)
            for sign in (rule.announcements or rule.keywords) if rule.unfinished else ():
                begun.setdefault(sign, []).append(position)
        signs = list(dict.fromkeys((*due, *begun)))
        self._rules = rules
        self._always = [position for position, each in enumerate(rules) if not each.rule.keywords]
        self._due = [due.get(sign, []) for sign in signs]
        self._begun = [begun.get(sign, []) for sign in signs]
        self._signs = PatternSet([escaped(sign) for sign in signs], ignore_case=True)

    def suspects(self, text: bytes) -> bool:
        """Tell whether ``text`` may hold a secret or a beginning of one. If not, no part of it does."""
        return bool(self._always or self._signs.found_in(text))

    def scan(self, text: bytes) -> Scan:
        """Return the secrets in ``text``, and beginnings of secrets. Keywords select the rules that search it."""
        signs = self._signs.found_in(text)
        due = {position for sign in signs for position in self._due[sign]}
        begun = {position for sign in signs for position in self._begun[sign]}
        return Scan(
            [found for position in sorted({*due, *self._always}) for found in self._rules[position].find(text)],
            [found for position in sorted(begun) for found in self._rules[position].find_beginnings(text)],
        )


@cache
def scanner() -> Scanner:
    """Return the scanner of all lists of rules. The first call takes some milliseconds."""
    return Scanner(rule_lists())


@cache
def rule_lists() -> tuple[RuleList, ...]:
    """Return the lists of rules, from their files."""
    return tuple(msgspec.json.decode((FOLDER / name).read_bytes(), type=RuleList) for name in FILES)


@cache
def known_kinds() -> frozenset[str]:
    """Return the kinds of all rules, and that of secrets by their place."""
    return frozenset((HEADER, *(rule.id for each in rule_lists() for rule in each.rules)))


def entropy_of(secret: bytes) -> float:
    """Return the entropy of ``secret`` in bits for each byte (Shannon's)."""
    if not secret:
        return 0.0
    shares = [count / len(secret) for count in Counter(secret).values()]
    return -sum(share * math.log2(share) for share in shares)


def _line(text: bytes, span: tuple[int, int]) -> bytes:
    """Return the lines around ``span``, at most some hundred bytes of them."""
    start, end = span
    begin = text.rfind(b"\n", max(0, start - 300), start) + 1 or max(0, start - 300)
    stop = text.find(b"\n", end, end + 300)
    return text[begin : stop if stop >= 0 else end + 300]
