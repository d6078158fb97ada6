"""The migration step of a deployment, as CloudFormation calls it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from local.database import NAME, OWNER, USER, LocalDatabase
from opencode_cloud.kit import migration
from opencode_cloud.kit.migration_step import MigrationStep
from opencode_cloud.kit.sql import Database, DatabaseOwnerSettings

ROOT = Path(__file__).parents[2]


class CloudFormation:
    """Sends requests to a step, and receives its answers."""

    def __init__(self) -> None:
        answers: list[dict[str, Any]] = []

        class Answers(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's names
                """Say nothing."""

        self.answers = answers
        self.server = HTTPServer(("127.0.0.1", 0), Answers)

    def ask(self, step: MigrationStep, kind: str) -> dict[str, Any]:
        """Return the answer to one request."""
        url = f"http://127.0.0.1:{self.server.server_port}/answer"
        known = {"StackId": "stack", "RequestId": f"request-{len(self.answers)}", "LogicalResourceId": "Migration"}
        step.handle({"RequestType": kind, "ResponseURL": url, "ResourceProperties": {}, **known})
        answer = self.answers[-1]
        assert {key: answer[key] for key in known} == known
        return answer


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    made = CloudFormation()
    Thread(target=made.server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def step(database_server: LocalDatabase, tmp_path: Path) -> MigrationStep:
    """Return the step with a function's settings, and the migrations in the code."""
    access = database_server.access
    settings = DatabaseOwnerSettings(
        database_host="127.0.0.1",
        database_port=access.port,
        database_name=NAME,
        database_user=USER,
        database_auth="password",
        database_password=access.password,
        database_owner=OWNER,
        database_owner_password=access.owner_password,
    )
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    return MigrationStep(settings, tmp_path / "migrations", (tmp_path / "then").touch)


def _version(server: LocalDatabase) -> str | None:
    with Database(server.access.url(OWNER)).transaction() as connection:
        return migration.current(connection)


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_it_migrates_and_says_the_version(step: MigrationStep, cloudformation: CloudFormation, kind: str) -> None:
    answer = cloudformation.ask(step, kind)
    assert answer["Status"] == "SUCCESS"
    assert answer["Data"] == {"Version": migration.newest(ROOT / "migrations")}


def test_what_comes_with_a_deployment_is_done_after_the_migration(
    step: MigrationStep, cloudformation: CloudFormation, tmp_path: Path
) -> None:
    cloudformation.ask(step, "Delete")
    assert not (tmp_path / "then").exists()
    cloudformation.ask(step, "Update")
    assert (tmp_path / "then").exists()


def test_a_deleted_stack_keeps_its_data(
    step: MigrationStep, cloudformation: CloudFormation, database_server: LocalDatabase
) -> None:
    before = _version(database_server)
    assert cloudformation.ask(step, "Delete")["Status"] == "SUCCESS"
    assert _version(database_server) == before


def test_a_failure_fails_the_deployment_and_says_why(
    step: MigrationStep, cloudformation: CloudFormation, tmp_path: Path, database_server: LocalDatabase
) -> None:
    newest = migration.newest(ROOT / "migrations")
    (tmp_path / "migrations" / "versions" / "9999_wrong.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{newest}'\n"
        "def upgrade():\n    op.execute('ALTER TABLE no_such_table ADD COLUMN a INT')\n"
    )
    answer = cloudformation.ask(step, "Update")
    assert answer["Status"] == "FAILED"
    assert "no_such_table" in answer["Reason"]
    assert _version(database_server) == newest


def test_a_deployment_that_is_rolled_back_leaves_the_newer_schema(
    step: MigrationStep, cloudformation: CloudFormation, tmp_path: Path, database_server: LocalDatabase
) -> None:
    newest = migration.newest(ROOT / "migrations")
    wider = tmp_path / "migrations" / "versions" / "9999_wider.py"
    wider.write_text(
        f"revision = '9999'\ndown_revision = '{newest}'\ndef upgrade():\n    pass\n",
    )
    try:
        assert cloudformation.ask(step, "Update")["Data"] == {"Version": "9999"}
        wider.unlink()
        answer = cloudformation.ask(step, "Update")
        assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Version": "9999"})
    finally:
        with Database(database_server.access.url(OWNER)).transaction() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{newest}'")


def test_it_can_be_asked_by_hand(step: MigrationStep) -> None:
    assert step.handle({}) == {"version": migration.newest(ROOT / "migrations")}
