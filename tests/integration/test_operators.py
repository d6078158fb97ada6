"""The operators' command against the deployed local stage, as a person runs it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from local.stack import LocalStack
from opencode_cloud.kit.sql import Database
from opencode_cloud.operators.command import main
from opencode_cloud.operators.service import following
from opencode_cloud.schema.audit import audit_entries
from tests.integration.people import People
from tests.ministack import forget_clients
from tests.waiting import until

LIBRARY = Path(__file__).parents[2] / "layers" / "core"


class Command:
    """`python -m opencode_cloud` with the emulator's credentials."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        settings = stack.client_settings()
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(LIBRARY),
            "AWS_ENDPOINT_URL": settings["endpoint_url"],
            "AWS_REGION": settings["region_name"],
            "AWS_DEFAULT_REGION": settings["region_name"],
            "AWS_ACCESS_KEY_ID": settings["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": settings["aws_secret_access_key"],
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "opencode_cloud", "--stage", "local", *arguments]
        return subprocess.run(
            command, env=self._environment | environment, capture_output=True, text=True, check=False, timeout=180
        )

    def run_here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command in this process, which saves the seconds of a start."""
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as err,
        ):
            for name, value in self._environment.items():
                patch.setenv(name, value)
            forget_clients()
            status = main(["--stage", "local", *arguments])
        forget_clients()
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    def __call__(self, *arguments: str) -> Any:
        done = self.run_here(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def actions(self, *targets: str) -> list[tuple[str, str, str]]:
        """Return what operators have done to ``targets``: action, kind and name of the actor."""
        database = Database(self._stack.database.access.url())
        columns = (audit_entries.c.action, audit_entries.c.actor_kind, audit_entries.c.actor_name)
        query = select(*columns).where(audit_entries.c.target_id.in_(targets)).order_by(audit_entries.c.at)
        with database.transaction() as connection:
            found = [tuple(row) for row in connection.execute(query)]
        database.dispose()
        return found


@pytest.fixture(scope="module")
def command(stack: LocalStack) -> Command:
    return Command(stack)


def address() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def test_a_workspace_is_made_for_somebody_who_has_no_account_yet(command: Command) -> None:
    owner = address()
    made = command("create-workspace", "--name", "Research", "--owner", owner)
    assert (made["email"], made["name"]) == (owner, "Research")
    person = command("look-up", owner.upper())
    assert person["id"] == made["account"]
    assert person["workspaces"] == [{"id": made["workspace"], "name": "Research", "role": "owner"}]
    workspace = command("look-up", made["workspace"])
    assert [(each["email"], each["role"]) for each in workspace["members"]] == [(owner, "owner")]
    actions = command.actions(made["account"], made["workspace"])
    assert {"account.created", "workspace.created"} <= {action for action, _, _ in actions}
    assert {kind for _, kind, _ in actions} == {"operator"}
    assert all(name.startswith("arn:aws:") for _, _, name in actions)


def test_a_key_of_an_operator_works_until_its_workspace_is_blocked(stack: LocalStack, command: Command) -> None:
    place = command("create-workspace", "--name", "Blocked", "--owner", address())["workspace"]
    made = command("create-key", "--workspace", place, "--name", "ci", "--scopes", "admin", "usage")
    with People(stack).with_key(made["secret"]) as client:
        assert client.get(f"/api/v1/workspaces/{place}/members").status_code == 200
        command("block", place)
        until(lambda: client.get(f"/api/v1/workspaces/{place}/members").status_code == 401)
        assert command("look-up", place)["blocked_at"]
        command("unblock", place)
        until(lambda: client.get(f"/api/v1/workspaces/{place}/members").status_code == 200)
    assert made["secret"] not in json.dumps(command.actions(place, made["id"]))


def test_a_blocked_person_is_refused_within_seconds_and_let_in_again(stack: LocalStack, command: Command) -> None:
    bob = People(stack).somebody()
    assert bob.http.get("/api/v1/workspaces").status_code == 200
    assert command("block", bob.email)["blocked"] is True
    until(lambda: bob.http.get("/api/v1/workspaces").status_code == 401)
    command("unblock", bob.account)
    until(lambda: bob.http.get("/api/v1/workspaces").status_code == 200)


def test_what_the_planes_know_is_brought_to_what_the_database_says(stack: LocalStack, command: Command) -> None:
    ada = People(stack).somebody()
    place = ada.found()
    table = stack.outputs["AccessTableName"]
    row = {"pk": {"S": f"workspace#{place}"}, "sk": {"S": "WORKSPACE"}}
    stack.client("dynamodb").delete_item(TableName=table, Key=row)
    assert ada.http.get(f"/api/v1/workspaces/{place}").status_code == 404
    assert command("project", place)["rows"] >= 2
    assert ada.http.get(f"/api/v1/workspaces/{place}").status_code == 200
    assert command("project")["rows"] > 2


def test_the_signing_key_is_rotated_to_the_next_and_back(command: Command) -> None:
    first = command("rotate-signing-key")
    second = command("rotate-signing-key")
    assert first["signs"] == second["signed"]
    assert first["signed"] == second["signs"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("look-up", "nobody@example.com"), "account_not_found"),
        (("look-up", "wrk_01K0000000000000000000000Z"), "workspace_not_found"),
        (("create-workspace", "--name", "x", "--owner", "nobody"), "invalid_address"),
        (("first-owner", "--email", "late@example.com"), "not_fresh"),
    ],
)
def test_what_cannot_be_done_is_said(command: Command, arguments: tuple[str, ...], words: str) -> None:
    command("create-workspace", "--name", "There", "--owner", address())
    done = command.run_here(*arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stage_that_is_not_there_is_named(command: Command) -> None:
    done = command.run("look-up", "x@example.com", STAGE="nowhere")
    assert done.returncode == 1  # --stage goes before $STAGE
    refused = subprocess.run(
        [sys.executable, "-m", "opencode_cloud", "--stage", "nowhere", "look-up", "x@example.com"],
        env=command._environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "nowhere" in refused.stderr


def test_only_who_may_invoke_the_function_is_an_operator(stack: LocalStack) -> None:
    """No function of the deployment may invoke it, and no route leads to it."""
    iam: Any = stack.client("iam")
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            policy = json.dumps(iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"])
            assert stack.outputs["OperateFunctionName"] not in policy


def test_a_misused_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["create-key", "--workspace", "wrk_1"])
    assert ending.value.code == 2
    assert "--name" in capsys.readouterr().err


def test_rotation_goes_round() -> None:
    assert following(["a", "b", "c"], "b") == ["c", "a"]
    assert following(["a"], "a") == []
