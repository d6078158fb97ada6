"""Applies mutants one at a time to a copy of the checkout, and runs the tests that must notice them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.definitions import ROOT, Mutant, Stale

ENVIRONMENTS = (".venv", ".tools", "node_modules")
"""Folders that the copy shares with the checkout."""
SECONDS = 600
"""That the tests of one mutant may take."""
_FAILED = re.compile(r"(?m)^FAILED ([^\s\[]+)")
_KEPT_LINES = 15


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    word: str
    """``killed``, ``survived``, ``stale`` or ``unclear``."""
    why: str
    """Which tests failed; for a mutant that was not killed, what is wrong."""

    @property
    def killed(self) -> bool:
        """Whether each named test noticed the fault."""
        return self.word == "killed"


class Copy:
    """A copy of the checkout as it stands, with what is not committed yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        for name in filter(None, files):
            source, target = ROOT / name, folder / name
            if source.is_file():  # a file that was deleted is still listed until that is committed
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        for name in ENVIRONMENTS:
            (folder / name).symlink_to(ROOT / name)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Hold the mutant's fault in the copy. Raises :class:`Stale`."""
        path = self.folder / mutant.file
        changed = mutant.applied(self.folder)
        before = path.read_text()
        path.write_text(changed)
        try:
            yield
        finally:
            path.write_text(before)

    def failures(self, tests: Sequence[str]) -> tuple[bool, set[str], str]:
        """Run tests. Return whether all passed, which failed (node ids without parameters), and how the output ends.

        The seed of hypothesis is fixed: whether a property test notices a fault must not be a matter of luck.
        """
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
        command += ["-m", "", "--hypothesis-seed=0", *tests]
        # Programs that tests start take the library from here, too: else from the checkout, by a .pth file of .venv.
        search = os.pathsep.join(str(self.folder / name) for name in ("", "layers/core", "clients/python/src"))
        environment = {**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
        # Into a file: a server that a test leaves behind would keep a pipe open, and the reader of it waiting.
        with tempfile.TemporaryFile("w+") as output:
            try:
                done = subprocess.run(
                    command,
                    cwd=self.folder,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return False, set(), f"the tests took longer than {SECONDS} s"
            output.seek(0)
            text = output.read()
        failed = set(_FAILED.findall(text)) if done.returncode == 1 else set()
        return done.returncode == 0, failed, "\n".join(text.strip().splitlines()[-_KEPT_LINES:])


@contextmanager
def copied() -> Iterator[Copy]:
    """Make a copy of the checkout, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        yield Copy(Path(folder).resolve())


def broken_tests(copy: Copy, mutants: Sequence[Mutant]) -> str:
    """Return what is wrong with the tests when no mutant is applied; empty when all pass."""
    passed, _, end = copy.failures(sorted({test for mutant in mutants for test in mutant.tests}))
    return "" if passed else end


def judge(copy: Copy, mutant: Mutant) -> Verdict:
    """Run a mutant's tests against it."""
    if missing := mutant.missing_tests(copy.folder):
        return Verdict("stale", f"there is no {', '.join(missing)}")
    try:
        with copy.mutated(mutant):
            passed, failed, end = copy.failures(mutant.tests)
    except Stale as stale:
        return Verdict("stale", str(stale))
    if not passed and not failed:
        return Verdict("unclear", f"no test failed, and pytest did not end well\n{end}")
    if blind := [test for test in mutant.tests if not _noticed(test, failed)]:
        return Verdict("survived", f"passed: {', '.join(blind)}")
    return Verdict("killed", ", ".join(sorted(test.rpartition("::")[2] for test in failed)))


def scout(copy: Copy, mutant: Mutant, tests: Sequence[str]) -> Sequence[str]:
    """Return which of other ``tests`` fail with a mutant. Raises :class:`Stale`."""
    with copy.mutated(mutant):
        return sorted(copy.failures(tests)[1])


def _noticed(test: str, failed: set[str]) -> bool:
    return any(each == test or each.startswith(f"{test}::") for each in failed)
