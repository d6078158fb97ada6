"""Logging in, workspaces, keys, questions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_cloud import FakeCloud, Json
from machines import INTERRUPT, Machine

from opencode_cloud_connect import http
from opencode_cloud_connect.agents import AGENTS
from opencode_cloud_connect.errors import ConnectError, Declined
from opencode_cloud_connect.http import Server

TWO = [{"id": "wrk_1", "name": "Acme", "deleted_at": None}, {"id": "wrk_2", "name": "Other", "deleted_at": None}]
SOURCE = Path(__file__).parents[1] / "src"


def test_a_person_sees_address_and_code_and_the_key_has_one_scope(machine: Machine) -> None:
    said = machine.connect("codex")
    assert "BCDF-GHJK" in said
    assert f"{machine.cloud.url}/device" in said
    (key,) = machine.cloud.keys.values()
    assert key["scopes"] == ["inference"]
    assert key["name"].startswith("codex on ")
    assert "scope inference" in said


def test_the_login_is_ended_and_no_token_is_stored(machine: Machine) -> None:
    machine.connect("codex")
    assert machine.cloud.ended == ["refresh"]
    stored = [file.read_text() for file in (machine.home / ".config/opencode-cloud").rglob("*") if file.is_file()]
    assert not [text for text in stored if re.search(r'"(access|refresh)"', text)]


def test_polls_wait_for_the_interval_and_longer_when_asked(machine: Machine) -> None:
    machine.cloud.interval = 2
    machine.cloud.polls = ["authorization_pending", "slow_down", "authorization_pending"]
    machine.connect("codex")
    assert machine.slept == [2, 2, 7, 7]


def test_a_lost_connection_is_tried_again(machine: Machine) -> None:
    machine.cloud.polls = ["authorization_pending"]
    machine.cloud.drop_after = "/auth/device/code"
    machine.connect("codex")
    assert (machine.cloud.drop, machine.cloud.polls) == (0, [])


@pytest.mark.parametrize(("error", "code"), [("access_denied", "login_denied"), ("expired_token", "login_expired")])
def test_a_login_that_is_denied_or_too_late_changes_nothing(machine: Machine, error: str, code: str) -> None:
    machine.cloud.polls = [error]
    with pytest.raises(ConnectError) as raised:
        machine.connect("codex")
    assert raised.value.code == code
    assert machine.files() == {}


def test_a_code_that_is_never_approved_ends(machine: Machine) -> None:
    machine.cloud.expires_in = 0
    with pytest.raises(ConnectError) as raised:
        machine.connect("codex")
    assert raised.value.code == "login_expired"


@pytest.mark.parametrize(
    ("wish", "chosen", "typed", "workspace"),
    [
        ("wrk_2", "", None, "wrk_2"),
        ("Other", "wrk_1", None, "wrk_2"),
        ("", "wrk_2", None, "wrk_2"),
        ("", "", "2\n2\ny\n", "wrk_2"),
    ],
)
def test_the_workspace_is_named_chosen_in_the_browser_or_asked_for(
    machine: Machine, wish: str, chosen: str, typed: str | None, workspace: str
) -> None:
    machine.cloud.workspaces, machine.cloud.chosen = TWO, chosen
    machine.connect("codex", typed, workspace=wish)
    assert [key["path"] for key in machine.cloud.keys.values()] == [f"/api/v1/workspaces/{workspace}/keys"]


@pytest.mark.parametrize(
    ("workspaces", "wish", "code"),
    [
        ([{**TWO[0], "name": "Same"}, {**TWO[1], "name": "Same"}], "Same", "workspace_needed"),
        (TWO, "", "workspace_needed"),
        (TWO, "Nowhere", "workspace_not_found"),
        ([], "", "no_workspace"),
    ],
)
def test_an_unclear_workspace_is_an_error_where_no_person_can_be_asked(
    machine: Machine, workspaces: list[Json], wish: str, code: str
) -> None:
    machine.cloud.workspaces = workspaces
    with pytest.raises(ConnectError) as raised:
        machine.connect("codex", workspace=wish)
    assert raised.value.code == code
    assert machine.cloud.keys == {}


def test_a_key_that_works_is_used_again_without_a_login(machine: Machine) -> None:
    machine.connect("codex")
    machine.cloud.requests.clear()
    said = machine.connect("codex", model="claude-sonnet-5")
    assert "used again" in said
    assert not [path for _, path, _ in machine.cloud.requests if path.startswith("/auth")]
    assert len(machine.cloud.keys) == 1
    assert 'model = "claude-sonnet-5"' in (machine.home / ".codex/config.toml").read_text()


def test_a_revoked_key_is_replaced(machine: Machine) -> None:
    machine.connect("codex")
    machine.cloud.keys["key_1"]["revoked"] = True
    machine.connect("codex")
    assert machine.cloud.keys["key_2"]["secret"] in (machine.home / ".codex/.env").read_text()


def test_a_new_key_on_request_ends_the_old_one(machine: Machine) -> None:
    machine.connect("codex")
    machine.connect("codex", new_key=True)
    assert [key["revoked"] for key in machine.cloud.keys.values()] == [True, False]


def test_a_person_who_declines_keeps_files_and_key(machine: Machine) -> None:
    machine.connect("codex")
    before, key = machine.files(), machine.key
    with pytest.raises(Declined):
        machine.connect("codex", "3\nn\n", new_key=True)
    assert machine.files() == before
    assert [each["revoked"] for each in machine.cloud.keys.values()] == [False, True]
    assert (machine.home / ".config/opencode-cloud/keys/codex").read_text().strip() == key


def test_a_person_who_interrupts_the_question_keeps_no_new_key(machine: Machine) -> None:
    with pytest.raises(KeyboardInterrupt):
        machine.connect("codex", f"1\n{INTERRUPT}")
    assert machine.files() == {}
    assert [key["revoked"] for key in machine.cloud.keys.values()] == [True]


def test_a_new_key_stays_valid_if_the_old_one_cannot_be_revoked(machine: Machine) -> None:
    machine.connect("codex")
    machine.cloud.answers["/api/v1/workspaces/wrk_1/keys/key_1"] = (403, {"code": "not_permitted"})
    said = machine.connect("codex", new_key=True)
    assert "The key key_1 was not revoked" in said
    assert machine.cloud.keys["key_2"]["secret"] in (machine.home / ".codex/.env").read_text()
    assert not machine.cloud.keys["key_2"]["revoked"]


def test_the_difference_is_shown_before_the_question(machine: Machine) -> None:
    machine.write({".codex/config.toml": 'model = "gpt-5"\n'})
    said = machine.connect("codex", "1\ny\n")
    assert said.index('-model = "gpt-5"') < said.index("Write this?") < said.index("is connected")
    assert '+model = "gpt-5.2"' in said


def test_disconnecting_can_revoke_the_key(machine: Machine) -> None:
    machine.connect("codex")
    assert "stays valid" in machine.disconnect("codex")
    machine.connect("codex")
    machine.disconnect("codex", revoke=True)
    assert [key["revoked"] for key in machine.cloud.keys.values()] == [False, True]
    assert machine.cloud.ended[-1] == "refresh"


def test_several_agents_have_keys_of_their_own(machine: Machine) -> None:
    machine.connect("codex")
    machine.connect("gemini")
    assert len({key["secret"] for key in machine.cloud.keys.values()}) == 2
    assert re.findall(r"^\w+", machine.status(), re.MULTILINE) == ["codex", "gemini"]
    machine.disconnect("gemini")
    assert list(machine.files()) == [".codex/.env", ".codex/config.toml"]


@pytest.mark.parametrize("agent", [name for name, agent in AGENTS.items() if agent.exports])
def test_print_writes_no_file_of_the_agent_and_prints_no_secret(machine: Machine, agent: str) -> None:
    said = machine.connect(agent, print_only=True)
    assert machine.files() == {}
    assert machine.key not in said
    exports = "\n".join(line for line in said.splitlines() if line.startswith("export "))
    shown = subprocess.run(["sh", "-c", f"{exports}\nenv"], capture_output=True, text=True, check=True).stdout
    assert machine.key in shown
    machine.disconnect(agent)
    assert not (machine.home / ".config/opencode-cloud/keys" / agent).exists()


def test_print_is_refused_for_an_agent_that_reads_no_variables(machine: Machine) -> None:
    with pytest.raises(ConnectError) as raised:
        machine.connect("llm", print_only=True)
    assert raised.value.code == "no_variables"
    assert [key["revoked"] for key in machine.cloud.keys.values()] == [True]


def test_a_model_by_another_name_is_taken_and_an_unknown_one_refused(machine: Machine) -> None:
    machine.connect("codex", model="gpt-5.2-latest")
    with pytest.raises(ConnectError) as raised:
        machine.connect("codex", model="gpt-9")
    assert raised.value.code == "model_not_found"
    assert "gpt-5.2" in raised.value.message


def test_a_variable_that_wins_over_the_files_is_named(machine: Machine) -> None:
    machine.environment["ANTHROPIC_API_KEY"] = "sk-ant-mine"
    said = machine.connect("claude-code")
    assert "Unset ANTHROPIC_API_KEY" in said
    assert "sk-ant-mine" not in said


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://cloud.example.com", "insecure_address"),
        ("cloud.example.com", "invalid_address"),
        ("https://[cloud", "invalid_address"),
        ("https://cloud.example.com:port", "invalid_address"),
        ("", "invalid_address"),
    ],
)
def test_a_key_never_goes_over_plain_http_to_another_machine(address: str, code: str) -> None:
    with pytest.raises(ConnectError) as raised:
        Server(address)
    assert raised.value.code == code


@pytest.mark.parametrize("answer", [(200, None), (200, ["page"]), (301, None)])
def test_a_server_of_another_kind_is_named(machine: Machine, answer: tuple[int, Any]) -> None:
    machine.cloud.answers["/auth/device/code"] = answer
    with pytest.raises(ConnectError, match="/auth/device/code answered") as raised:
        machine.connect("codex")
    assert raised.value.code == "not_opencode_cloud"


def test_an_answer_that_is_too_large_is_an_error(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST", 10)
    cloud.answers["/"] = (200, {"a": "long answer"})
    with pytest.raises(ConnectError) as raised:
        Server(cloud.url).call("GET", "/")
    assert raised.value.code == "answer_too_large"


def test_a_server_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(ConnectError) as raised:
        Server("http://127.0.0.1:9").call("GET", "/")
    assert raised.value.code == "unreachable"


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as installed, with nothing but the standard library."""
    start = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from opencode_cloud_connect.cli import main; main()"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-S", "-c", start, *arguments]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_the_command_needs_the_standard_library_only(machine: Machine) -> None:
    done = run(machine.home, "connect", "codex", "gemini", "--host", machine.cloud.url, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    codes = [path for _, path, _ in machine.cloud.requests if path == "/auth/device/code"]
    assert len(codes) == 1
    assert "codex" in run(machine.home, "status").stdout
    assert run(machine.home, "disconnect", "codex", "gemini", "--yes").returncode == 0
    assert machine.files() == {}


def test_errors_are_one_sentence_with_a_code(machine: Machine) -> None:
    done = run(machine.home, "disconnect", "codex", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "opencode-cloud: Codex is not connected. [not_connected]\n"
    done = run(machine.home, "connect", "codex", "--host", machine.cloud.url)
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert machine.files() == {}
    (machine.home / ".codex/config.toml").mkdir(parents=True)
    done = run(machine.home, "connect", "codex", "--host", machine.cloud.url, "--yes")
    assert done.returncode == 1
    assert re.fullmatch(r"opencode-cloud: .*/config.toml: Is a directory. \[file_failed\]\n", done.stderr)
    assert all(key["revoked"] for key in machine.cloud.keys.values())


def test_a_record_that_cannot_be_read_is_named(machine: Machine) -> None:
    machine.connect("codex")
    record = machine.home / ".config/opencode-cloud/connections/codex.json"
    record.write_text(json.dumps({"agent": "codex"}))
    with pytest.raises(ConnectError) as raised:
        machine.disconnect("codex")
    assert raised.value.code == "broken_state"
