"""The real CDK CLI deploys stage local to an emulator of its own: first, again without a change, then new code."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import boto3
import pytest

from local.database import OWNER, LocalDatabase
from local.processes import free_port
from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
CDK = ROOT / "node_modules" / ".bin" / "cdk"
EMULATOR = ROOT / ".tools" / "ministack" / "bin" / "python"
COPIED = ("app.py", "cdk.json", "docs", "infra", "functions", "layers", "migrations", "web")
FUNCTIONS = ("Share", "Live", "Deliver", "Snapshot", "Purge")
CONSOLE = ("Identity", "Console", "Relay", "Mail", "Ledger", "Operate", "Github", "Migrate")
GATEWAY = ("Gateway", "Budgets")
READY_SECONDS = 60

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Deployment:
    """A copy of the sources, with the emulator and the database to which they are deployed."""

    sources: Path
    port: int
    database: LocalDatabase

    def cdk(self, *command: str) -> str:
        """Run the CDK CLI on the copy; return its output."""
        done = subprocess.run(
            [CDK, "--app", f"{sys.executable} app.py", *command],
            cwd=self.sources,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deploy(self) -> str:
        """Deploy all stacks."""
        options = ("--all", "--method", "direct", "--require-approval", "never", "--outputs-file", "outputs.json")
        return self.cdk("deploy", *options)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.database.access.environment(),
            "STAGE": "local",
            "MINISTACK_PORT": str(self.port),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    @property
    def outputs(self) -> dict[str, str]:
        stacks = json.loads((self.sources / "outputs.json").read_text())
        return {key: value for stack in stacks.values() for key, value in stack.items()}

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urlopen(Request(self.outputs["HttpUrl"] + path), timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            return error.code, error.read()

    def versions(self, function: str) -> list[str]:
        """Return the published versions of a function, newest last."""
        client: Any = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        listed = client.list_versions_by_function(FunctionName=self.outputs[f"{function}FunctionName"])
        return [version["Version"] for version in listed["Versions"] if version["Version"] != "$LATEST"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start an emulator with IAM on, on a free port, and deploy to it."""
    folder = tmp_path_factory.mktemp("deployment")
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    with running(folder, tmp_path_factory.mktemp("database")) as deployed:
        yield deployed


@contextmanager
def running(folder: Path, database_folder: Path) -> Iterator[Deployment]:
    """Deploy the sources in `folder` to an emulator and a database that end with the block."""
    database = LocalDatabase(database_folder, ROOT)
    database.start(durability="process")
    made = Deployment(folder, free_port(), database)
    environment = {**os.environ, "AUTH": "true", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(made.port)}
    with subprocess.Popen(
        [EMULATOR, "-m", "ministack"], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as emulator:
        try:
            _wait(f"http://127.0.0.1:{made.port}/_ministack/health")
            made.cdk("bootstrap", "aws://000000000000/us-east-1")
            made.deploy()
            yield made
        finally:
            emulator.terminate()
            database.stop()


def _wait(address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            urlopen(address, timeout=PATIENCE).close()
        except (URLError, ConnectionError):
            assert time.monotonic() < deadline, f"no answer from {address}"
            time.sleep(0.2)
        else:
            return


def test_what_was_deployed_answers(deployment: Deployment) -> None:
    status, health = deployment.get("/health")
    assert (status, json.loads(health)["status"]) == (200, "ok")
    assert deployment.outputs["WebSocketUrl"].startswith(f"ws://127.0.0.1:{deployment.port}/")


def test_no_change_deploys_nothing(deployment: Deployment) -> None:
    versions = deployment.versions("Share")
    said = deployment.deploy()
    assert said.count("(no changes)") == 5
    assert deployment.versions("Share") == versions


def test_new_code_is_served_at_once_and_republishes_only_its_function(deployment: Deployment) -> None:
    share, live = deployment.versions("Share"), deployment.versions("Live")
    handler = deployment.sources / "functions" / "share" / "handler.py"
    handler.write_text(handler.read_text() + NEW_CODE)
    deployment.deploy()
    assert deployment.get("/health") == (200, b'{"status":"updated"}')
    assert deployment.versions("Share")[-1] != share[-1]
    assert deployment.versions("Live") == live


def test_a_new_library_republishes_every_function(deployment: Deployment) -> None:
    before = {name: deployment.versions(name)[-1] for name in (*FUNCTIONS, *CONSOLE, *GATEWAY)}
    module = deployment.sources / "layers" / "core" / "opencode_cloud" / "__init__.py"
    module.write_text(module.read_text() + "\nUPDATED = True\n")
    deployment.deploy()
    after = {name: deployment.versions(name)[-1] for name in before}
    assert not [name for name in before if after[name] == before[name]]


def test_the_database_has_the_schema_of_the_code(deployment: Deployment) -> None:
    with Database(deployment.database.access.url(OWNER)).transaction() as connection:
        assert migration.current(connection) == migration.newest(ROOT / "migrations")


def test_a_migration_that_fails_stops_the_deployment_before_new_code(deployment: Deployment) -> None:
    console = deployment.versions("Console")[-1]
    newest = migration.newest(ROOT / "migrations")
    wrong = deployment.sources / "migrations" / "versions" / "9999_wrong.py"
    wrong.write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{newest}'\n"
        "def upgrade():\n    op.execute('ALTER TABLE no_such_table ADD COLUMN a INT')\n"
    )
    handler = deployment.sources / "functions" / "console" / "handler.py"
    handler.write_text(handler.read_text() + "\n# changed\n")
    with pytest.raises(AssertionError, match="no_such_table"):
        deployment.deploy()
    assert deployment.versions("Console")[-1] == console
    with Database(deployment.database.access.url(OWNER)).transaction() as connection:
        assert migration.current(connection) == newest


NEW_CODE = """

def handler(event, context):
    return {"statusCode": 200, "body": '{"status":"updated"}'}
"""
