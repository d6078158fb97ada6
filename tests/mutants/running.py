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
"""Time limit for the tests of one mutant."""
_FAILED = re.compile(r"(?m)^FAILED ([^\s\[]+)")
_KEPT_LINES = 15


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of running a mutant's tests."""

    word: str
    """``killed``, ``survived``, ``stale`` or ``unclear``."""
    why: str
    """The failed tests; for a mutant that was not killed, the reason."""

    @property
    def killed(self) -> bool:
        """True if each named test noticed the fault."""
        return self.word == "killed"


class Copy:
    """A copy of the checkout, including uncommitted changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        for name in filter(None, files):
            source, target = ROOT / name, folder / name
            if source.is_file():  # git lists a deleted file until the deletion is committed
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        for name in ENVIRONMENTS:
            (folder / name).symlink_to(ROOT / name)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Apply the mutant's fault to the copy until the end of the block. Raises :class:`Stale`."""
        path = self.folder / mutant.file
        changed = mutant.applied(self.folder)
        before = path.read_text()
        path.write_text(changed)
        try:
            yield
        finally:
            path.write_text(before)

    def failures(self, tests: Sequence[str]) -> tuple[bool, set[str], str]:
        """Run tests. Return success, the failed tests (node ids without parameters), and the end of the output.

        The seed of hypothesis is fixed: whether a property test notices a fault must not be a matter of luck.
        """
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
        command += ["-m", "", "--hypothesis-seed=0", *tests]
        # Programs that tests start must import the copy too. A .pth file of .venv would give them the checkout.
        search = os.pathsep.join(str(self.folder / name) for name in ("", "layers/core", "clients/python/src"))
        environment = {**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
        # Write to a file: a server that a test leaves running would keep a pipe open, and block its reader.
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
    """Make a copy of the checkout, and delete it at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        yield Copy(Path(folder).resolve())


def broken_tests(copy: Copy, mutants: Sequence[Mutant]) -> str:
    """Return the failures without any mutant; empty when all tests pass."""
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
        return Verdict("unclear", f"no test failed, but pytest ended with an error\n{end}")
    if blind := [test for test in mutant.tests if not _noticed(test, failed)]:
        return Verdict("survived", f"passed: {', '.join(blind)}")
    return Verdict("killed", ", ".join(sorted(test.rpartition("::")[2] for test in failed)))


def scout(copy: Copy, mutant: Mutant, tests: Sequence[str]) -> Sequence[str]:
    """Return the other ``tests`` that fail with a mutant. Raises :class:`Stale`."""
    with copy.mutated(mutant):
        return sorted(copy.failures(tests)[1])


def _noticed(test: str, failed: set[str]) -> bool:
    return any(each == test or each.startswith(f"{test}::") for each in failed)
