"""The command that `opencode auth login` runs on a user's machine, and the validation of its document."""

import os
import pty
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from opencode_cloud.policies.models import InvalidDocument
from opencode_cloud.policies.service.well_known import ENVIRONMENT, SCRIPT, WellKnown
from opencode_cloud.policies.validation import faults_of

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


class Shelf:
    """A bucket's object in memory, because the rules of publishing are the subject here."""

    def __init__(self) -> None:
        self.kept: tuple[bytes, bool] | None = None

    def read(self) -> tuple[bytes, bool] | None:
        return self.kept

    def write(self, document: bytes, *, by_operator: bool) -> None:
        self.kept = document, by_operator


def run(shell: str, tmp_path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the script with an empty PATH, without a terminal."""
    command = [str(shutil.which(shell)), *(["sh"] if shell == "busybox" else []), "-c", SCRIPT]
    settings: Any = {"env": {"PATH": str(tmp_path), **environment}, "stdin": subprocess.DEVNULL, "text": True}
    return subprocess.run(command, capture_output=True, start_new_session=True, check=False, **settings)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_key_is_taken_from_the_environment(shell: str, tmp_path: Path) -> None:
    done = run(shell, tmp_path, **{ENVIRONMENT: 'oc_sk_"$x*'})
    assert (done.returncode, done.stdout, done.stderr) == (0, 'oc_sk_"$x*', "")


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_terminal_the_user_is_told_what_to_set(shell: str, tmp_path: Path) -> None:
    done = run(shell, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"set {ENVIRONMENT}" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("typed", "printed", "status"), [("oc_sk_a b", "oc_sk_a b", 0), ("", "", 1)])
def test_on_a_terminal_it_asks_and_does_not_show_what_is_typed(
    shell: str, typed: str, printed: str, status: int
) -> None:
    command = [str(shutil.which(shell)), *(["sh"] if shell == "busybox" else []), "-c", SCRIPT]
    reader, writer = os.pipe()
    child, terminal = pty.fork()
    if child == 0:
        os.dup2(writer, 1)
        os.execve(command[0], command, {"PATH": "/usr/bin:/bin"})
    os.close(writer)
    shown = b""
    while b"..): " not in shown:
        shown += os.read(terminal, 1000)
    # The prompt comes before echo is switched off.
    while "-echo" not in subprocess.run(["stty", "-a"], stdin=terminal, capture_output=True, text=True).stdout.split():
        pass
    os.write(terminal, typed.encode() + b"\n")
    with os.fdopen(reader, "rb") as output:
        assert output.read().decode() == printed
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
    shown += os.read(terminal, 1000)
    assert not typed or typed.encode() not in shown
    os.close(terminal)


def well_known(public_url: str = "https://cloud.example") -> tuple[WellKnown, Shelf]:
    shelf: Any = Shelf()
    return WellKnown(shelf, public_url), shelf


def test_a_deployment_publishes_a_default_that_clients_accept() -> None:
    site, _ = well_known()
    site.ensure()
    document = site.published()
    assert document is not None
    assert document["config"] == {"enterprise": {"url": "https://cloud.example"}}
    assert faults_of(document["config"]) == []
    assert document["auth"]["command"][:2] == ["sh", "-c"]
    assert set(document) == {"auth", "config"}


def test_a_deployment_renews_its_default_and_leaves_an_operators_document_alone() -> None:
    site, shelf = well_known("https://old.example")
    site.ensure()
    moved, _ = well_known()
    moved._store = site._store
    moved.ensure()
    assert b"cloud.example" in (shelf.kept or (b"", False))[0]
    moved.publish({"share": "manual"})
    moved.ensure()
    assert (moved.published() or {})["config"] == {"share": "manual"}
    moved.publish_default()
    assert (moved.published() or {})["config"] == {"enterprise": {"url": "https://cloud.example"}}


def test_what_clients_would_not_start_with_is_not_published() -> None:
    site, shelf = well_known()
    site.ensure()
    before = shelf.kept
    for config in ({"share": "sometimes"}, {"provider": {"a": {"options": {"apiKey": "abc"}}}}):
        with pytest.raises(InvalidDocument):
            site.publish(config)
    assert shelf.kept == before
