"""The list of mutants (mutants.toml): what each breaks, the change of the code, and the tests that must notice it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path("layers/core/opencode_cloud")
LIST = Path(__file__).with_name("mutants.toml")


class Stale(Exception):
    """A mutant's pattern does not match its file exactly once. The code has changed, so change the definition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One deliberate fault."""

    id: str
    invariants: tuple[str, ...]
    """Names of invariants in ARCHITECTURE.md. Empty for other rules, such as a rule of security."""
    breaks: str
    """The consequence of the fault, as a sentence."""
    file: Path
    """Path within the checkout."""
    find: re.Pattern[str]
    replace: str
    """A template of :meth:`re.Match.expand`."""
    tests: tuple[str, ...]
    """Node ids of pytest, without parameters. Each must fail with the mutant, and pass without it."""

    def applied(self, root: Path) -> str:
        """Return the file's text with the fault applied. Raises :class:`Stale`."""
        path = root / self.file
        text = path.read_text() if path.exists() else ""
        matches = list(self.find.finditer(text))
        if len(matches) != 1:
            raise Stale(f"its pattern matches {len(matches)} times in {self.file}{self._elsewhere(root)}")
        [match] = matches
        changed = text[: match.start()] + match.expand(self.replace) + text[match.end() :]
        if changed == text:
            raise Stale("it changes nothing")
        return changed

    def missing_tests(self, root: Path) -> list[str]:
        """Return the named tests that no longer exist."""
        return [test for test in self.tests if not _exists(root, test)]

    def _elsewhere(self, root: Path) -> str:
        others = [
            path.relative_to(root)
            for path in sorted((root / LIBRARY).rglob("*.py"))
            if path != root / self.file and self.find.search(path.read_text())
        ]
        return f"; it matches in {', '.join(map(str, others))}" if others else ""


def read_mutants(path: Path = LIST) -> list[Mutant]:
    """Return all mutants, in the order of the list."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    return [
        Mutant(
            id=entry["id"],
            invariants=tuple(entry.get("invariants", ())),
            breaks=entry["breaks"],
            file=LIBRARY / entry["file"],
            find=re.compile(entry["find"]),
            replace=entry["replace"],
            tests=tuple(entry["tests"]),
        )
        for entry in entries
    ]


def _exists(root: Path, test: str) -> bool:
    file, *names = test.split("::")
    path = root / file
    if not path.is_file():
        return False
    text = path.read_text()
    return all(re.search(rf"(?m)^\s*(?:(?:async )?def|class) {re.escape(name)}\b|^{name} = ", text) for name in names)
