"""The local stage is deployed again only after a change, and leaves no process running."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.deployment import Deployment
from local.processes import Program, ProgramFailed, clean_environment
from local.stack import LocalStack, PortTaken, StackBusy
from tests.waiting import PATIENCE

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A minimal copy of the files that a deployment depends on."""
    root = tmp_path / "checkout"
    for name in ("app.py", "cdk.json", "requirements/dev.txt", "package-lock.json", "infra/a.py", "functions/b/c.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for folder in ("layers", "web"):
        (root / folder).mkdir()
    return root


def test_the_fingerprint_follows_content_names_and_port_alone(checkout: Path, tmp_path: Path) -> None:
    deployment = Deployment(checkout, tmp_path, 4566)
    first = deployment.fingerprint()
    (checkout / "infra" / "a.py").touch()
    (checkout / "infra" / "__pycache__").mkdir()
    (checkout / "infra" / "__pycache__" / "a.pyc").write_text("compiled")
    (checkout / "README.md").write_text("words")
    assert deployment.fingerprint() == first

    assert Deployment(checkout, tmp_path, 4567).fingerprint() != first
    (checkout / "web" / "new.css").write_text("")
    second = deployment.fingerprint()
    (checkout / "functions" / "b" / "c.py").write_text("changed")
    assert len({first, second, deployment.fingerprint()}) == 3


def test_a_deployment_cut_short_is_not_taken_for_done(checkout: Path, tmp_path: Path) -> None:
    deployment = Deployment(checkout, tmp_path, 4566)
    assert not deployment.is_current()
    deployment.remember(deployment.fingerprint())
    assert deployment.is_current()
    deployment.forget()
    assert not deployment.is_current()


def test_nothing_of_the_persons_aws_account_reaches_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    environment = Deployment(Path(), Path(), 4566).environment
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & environment.keys()
    assert environment["AWS_CONFIG_FILE"] == os.devnull


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program("sleeper", tmp_path / "run", tmp_path / "logs")
    yield program
    program.kill()
    program.stop_leftover()


def test_what_a_crashed_run_left_behind_is_stopped(program: Program, tmp_path: Path) -> None:
    program.start(SLEEPER, clean_environment(), tmp_path)
    left = psutil.Process(program.pid)
    Program("sleeper", tmp_path / "run", tmp_path / "logs").stop_leftover()
    assert left.wait(PATIENCE) in (None, -signal.SIGTERM)


def test_a_process_that_only_has_the_same_number_is_left_alone(program: Program, tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "sleeper.json").write_text(json.dumps({"pid": stranger.pid, "created": 1.0}))
        program.stop_leftover()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_program_that_fails_says_why(program: Program, tmp_path: Path) -> None:
    program.start([sys.executable, "-c", "import sys; sys.exit('the reason')"], clean_environment(), tmp_path)
    with pytest.raises(ProgramFailed, match="the reason"):
        program.wait_until(lambda: False, PATIENCE)


def test_a_program_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    child = "import time; from local.lifeline import end_with_parent; end_with_parent(); print('up', flush=True)"
    child += "; time.sleep(600)"
    parent = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=-1)"
    parent += "; p.stdout.readline(); print(p.pid, flush=True)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", parent], cwd=root, capture_output=True, text=True, check=True)
    try:
        orphan = psutil.Process(int(done.stdout))
    except psutil.NoSuchProcess:
        return
    orphan.wait(PATIENCE)


@pytest.mark.parametrize("name", ["port", "emulator_port", "stripe_port"])
def test_a_port_in_use_is_told_with_what_to_do(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} .* make dev {name.upper()}="):
            LocalStack(tmp_path, **{name: port}).start()


def test_a_folder_in_use_is_told(tmp_path: Path) -> None:
    first = LocalStack(tmp_path)
    first._take_folder()
    with pytest.raises(StackBusy, match="is in use"):
        LocalStack(tmp_path).start()
    first._leave_folder()
