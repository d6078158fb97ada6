"""Beside `make dev`: keys of providers from the environment, and sentences in place of tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.operating import NotRunning, run_command
from local.processes import clean_environment
from local.provider_keys import keys_of

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}", **variables}
    command = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_keys_of_providers_come_from_the_environment_by_upstream() -> None:
    given = {"OPENAI_API_KEY": "sk-1", "GEMINI_API_KEY": " AIza ", "ANTHROPIC_API_KEY": "", "OTHER": "x"}
    assert keys_of(given) == {"openai": "sk-1", "google": "AIza"}


def test_no_program_of_the_stage_inherits_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in clean_environment().values()


@pytest.mark.parametrize("port", ["abc", "-1", "70000", "1.5"])
def test_a_port_that_is_none_gets_a_sentence(port: str) -> None:
    done = run("dev", PORT=port)
    assert done.returncode == 1
    assert f"PORT={port} is no port" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_stage_the_operators_command_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="make dev"):
        run_command(ROOT, tmp_path, ["look-up", "ada@example.com"])
