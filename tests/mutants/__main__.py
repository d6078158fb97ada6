"""The command line of ``make mutants``: break one rule at a time, and see that the tests named for it fail.

A mutant is a small, deliberate fault. The list (mutants.toml) keeps at least two for each invariant of ARCHITECTURE.md,
so that each invariant keeps tests that can fail, without a deployed stage.

Existing tools do not fit. mutmut, cosmic-ray and mutatest generate mutants by operators (``<`` becomes ``<=``), and
judge a whole suite by the share of mutants that survive. Here each fault is chosen (a dropped condition of a write, a
missing check of the tenant), it has a name and a sentence, and *named* tests have to fail. None of the three takes such
a list. cosmic-ray comes nearest, but it identifies a mutant by an operator and the number of its occurrence, which
changes with every edit of the file. Generated mutants of 40,000 lines would also take days, because many tests start an
emulator. mutmut on one module remains a good way to find new entries for the list.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from tests.mutants.definitions import Mutant, Stale, read_mutants
from tests.mutants.running import Copy, broken_tests, copied, judge, scout


def main() -> int:
    """Judge mutants; return 0 when all are killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Break one rule at a time.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a mutant's id, or an invariant (I4); default: all")
    parser.add_argument("--scout", nargs="+", metavar="TEST", help="only list which of these tests fail with a mutant")
    given = parser.parse_args()
    wanted = set(given.names)
    chosen = [mutant for mutant in read_mutants() if not wanted or wanted & {mutant.id, *mutant.invariants}]
    if unknown := wanted - {name for mutant in chosen for name in (mutant.id, *mutant.invariants)}:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    console = Console(highlight=False)
    with copied() as copy:
        return _scout(console, copy, chosen, given.scout) if given.scout else _judge(console, copy, chosen)


def _scout(console: Console, copy: Copy, mutants: Sequence[Mutant], tests: Sequence[str]) -> int:
    for mutant in mutants:
        console.print(mutant.id, style="bold")
        try:
            failed = scout(copy, mutant, tests)
        except Stale as stale:
            console.print(f"stale: {stale}", markup=False)
        else:
            console.print("\n".join(failed) or "no test fails", markup=False, soft_wrap=True)
    return 0


def _judge(console: Console, copy: Copy, mutants: Sequence[Mutant]) -> int:
    with console.status("Running all named tests without a mutant"):
        if wrong := broken_tests(copy, mutants):
            console.print("The tests fail without any mutant:", style="bold red")
            console.print(wrong, markup=False)
            return 1
    alive: list[str] = []
    for mutant in mutants:
        began = time.monotonic()
        with console.status(f"{mutant.id}: {mutant.breaks}"):
            verdict = judge(copy, mutant)
        if not verdict.killed:
            alive.append(f"{mutant.id}: {verdict.why}")
        row = f"{verdict.word:9} {time.monotonic() - began:4.0f} s  {mutant.id:31} {' '.join(mutant.invariants):5}"
        console.print(
            f"{row} {mutant.breaks}", markup=False, soft_wrap=True, style=None if verdict.killed else "bold red"
        )
    for line in alive:
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"{len(mutants) - len(alive)} of {len(mutants)} killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
