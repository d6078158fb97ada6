"""An update from the last release, with a client that publishes all the time: no acknowledged write is lost.

The last release is the newest tag, or the commit that last froze `infra/released.json`. The emulator replaces code and
migrates the database as AWS does. It refuses no update that CloudFormation would refuse: `test_updates.py` does that.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database
from tests.infra.test_deployment import COPIED, OWNER, Deployment, running
from tests.integration.publisher import Publisher, part

ROOT = Path(__file__).parents[2]
RELEASED = "infra/released.json"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def _last_release() -> str:
    for command in (
        ["describe", "--tags", "--abbrev=0", "--match", "v*"],
        ["log", "-1", "--format=%H", "--", RELEASED],
    ):
        found = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.strip()
    pytest.skip("a checkout without history has no last release")


def _write(release: str, folder: Path) -> None:
    archive = subprocess.run(["git", "archive", release, *COPIED], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as source:
        source.extractall(folder, filter="data")


def _replace(folder: Path) -> None:
    """Put this checkout's sources in place of those that are there."""
    for name in COPIED:
        old, new = folder / name, ROOT / name
        if new.is_dir():
            shutil.rmtree(old)
            shutil.copytree(new, old)
        else:
            shutil.copy(new, old)


@dataclass
class Client:
    """Publishes until it is stopped, and repeats each publication once when it fails."""

    share: Publisher
    acknowledged: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        while not self.stopped.wait(0.2):
            number += 1
            if self._publish(f"text {number}") or self._publish(f"text {number}"):
                self.acknowledged.append(f"text {number}")
            else:
                self.failed.append(f"text {number}")

    def _publish(self, text: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self.share.sync(part(text.replace(" ", "_"), text)).status_code == 200
        return False


@contextlib.contextmanager
def _publishing(client: Client) -> Iterator[None]:
    client.stopped.clear()
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        yield
    finally:
        client.stopped.set()
        thread.join()


def _texts(share: Publisher) -> set[str]:
    return {item["data"]["text"] for item in share.data() if item["type"] == "part"}


def test_an_update_and_a_way_back_lose_no_acknowledged_write(tmp_path: Path) -> None:
    release = _last_release()
    folder = tmp_path / "sources"
    folder.mkdir()
    _write(release, folder)
    database = tmp_path / "database"
    database.mkdir()
    with running(folder, database) as deployment:
        client = Client(Publisher.create(deployment.outputs["HttpUrl"]))
        for update in (lambda: _replace(folder), lambda: _write(release, folder)):
            before = len(client.acknowledged)
            update()
            with _publishing(client):
                deployment.deploy()
            assert len(client.acknowledged) > before
            assert client.failed == [], "a retry is enough"
            assert set(client.acknowledged) <= _texts(client.share)
            assert _newest(deployment) == migration.newest(ROOT / "migrations"), "and no version is taken back"


def _newest(deployment: Deployment) -> str | None:
    with Database(deployment.database.access.url(OWNER)).transaction() as connection:
        return migration.current(connection)
