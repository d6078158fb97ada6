"""The browser of the tests is installed once, although several processes need it at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import browser


def test_processes_that_need_a_browser_install_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_folder, calls = tmp_path / "bin", tmp_path / "calls"
    bin_folder.mkdir()
    program, apt = bin_folder / "made-up-browser", bin_folder / "apt-get"
    apt.write_text(
        f'#!/bin/sh\nmkdir {tmp_path}/busy || exit 100\necho "$@" >> {calls}\nsleep 0.2\n'
        f'case "$*" in *install*) echo "#!/bin/sh" > {program}; chmod +x {program};; esac\nrmdir {tmp_path}/busy\n'
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(browser, "NAMES", (program.name,))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(browser.installed_browser, [tmp_path / "playwright"] * 3))
    assert found == [str(program)] * 3
    assert len(calls.read_text().splitlines()) == 2
