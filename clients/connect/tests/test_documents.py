"""Every command block of docs/agents.md runs. Agents are stand-ins that record how they were started."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from machines import Machine

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "agents.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
CONNECTED = re.findall(r"^\| [\w ]+ \| .*?`(opencode-cloud connect [^`]+)` \|", PAGE, re.MULTILINE)
PROGRAMS = ("pip", "claude", "codex", "gemini", "qwen", "cline", "aider", "llm", "opencode")
KEY = "oc_sk_of_the_page"


def run(machine: Machine, script: str) -> str:
    """Run a block in a shell; return the calls of agents, each with its variables of interest."""
    programs, record = machine.home / "programs", machine.home / "record"
    programs.mkdir(exist_ok=True)
    record.touch()
    for name in PROGRAMS:
        stand_in(programs / name, f'{{ echo "{name} $*"; env; }} >>{record}')
    start = f"import sys; sys.path.insert(0, {str(ROOT / 'clients/connect/src')!r})"
    start += "; from opencode_cloud_connect.cli import main; main(sys.argv[1:] + ['--yes'] * (sys.argv[1] != 'status'))"
    stand_in(programs / "opencode-cloud", f'exec {sys.executable} -I -c "{start}" "$@"')
    environment = {
        "HOME": str(machine.home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOST": machine.cloud.url,
        "KEY": KEY,
        "MODEL": "gpt-5.2",
    }
    done = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return record.read_text()


def stand_in(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split("\n")[0][:40] for block in BLOCKS])
def test_a_block_runs_and_names_server_and_key(machine: Machine, block: str) -> None:
    recorded = run(machine, block)
    if "opencode-cloud" in block:
        assert machine.cloud.keys
    else:
        assert machine.cloud.url in recorded
        assert KEY in recorded or "console login" in block


def test_every_agent_has_a_line_that_connects_it(machine: Machine) -> None:
    assert len(CONNECTED) == 8
    run(machine, "\n".join(CONNECTED))
    assert len(re.findall(r"^\w", machine.status(), re.MULTILINE)) == 8


def test_the_table_names_the_files_that_are_written(machine: Machine) -> None:
    run(machine, "\n".join(CONNECTED))
    named = {name.removeprefix("~/") for name in re.findall(r"`([^`]*\.(?:json|toml|env|yml|yaml))`", PAGE)}
    written = [name for name in machine.files() if not name.startswith(("programs", "record"))]
    assert [name for name in written if not ({name, Path(name).name} & named)] == []
