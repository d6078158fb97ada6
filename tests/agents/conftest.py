"""Agents as installed, on the deployed stage, in front of upstreams that refuse what the real APIs refuse."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opencode_cloud_connect.agents import Settings
from opencode_cloud_connect.http import Server
from opencode_cloud_connect.workspaces import models_of
from tests.upstreams import Record, Script

from .drivers import DRIVERS, PATIENCE, Driver, Run

if TYPE_CHECKING:
    from tests.upstreams.world import Shop, World


@dataclass
class Outcome:
    """How a run ended."""

    status: int
    said: str
    """Everything that the agent printed."""
    records: list[Record]
    """The requests that reached upstreams meanwhile."""

    def of(self, script: Script) -> list[Record]:
        """Return the requests with a script."""
        return [record for record in self.records if record.tag == script.tag]

    @property
    def refused(self) -> list[str]:
        """What the upstreams refused."""
        return [reason for record in self.records for reason in record.refused]


@dataclass
class Desk:
    """A workspace with a key, and folders for agents."""

    shop: Shop
    folder: Path
    _number: int = field(default=0)

    def settings(self, driver: Driver, model: str, key: str = "") -> Settings:
        """Return what `opencode-cloud connect` tells an agent."""
        url, secret = self.shop.world.stack.url, key or self.shop.key
        models = models_of(Server(url), secret)
        assert models
        key_file = self.folder / "key"
        key_file.write_text(secret)
        return Settings(url, secret, key_file, model, model, models)

    def project(self) -> Path:
        """Make a folder for the next run, which the agent works in."""
        self._number += 1
        folder = self.folder / f"{self._number}" / "project"
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("The old text.\n")
        return folder

    def prepared(
        self, driver: Driver, format_: str, script: Script, project: Path | None = None, key: str = "", **more: Path
    ) -> Run:
        """Make a home with the agent's configuration."""
        from tests.upstreams.world import model_of  # imports the providers' SDKs, which takes seconds

        project = project or self.project()
        home = project.parent / "home"
        home.mkdir()
        run = Run(model_of(format_), script.prompt(), home, project, **more)
        driver.connect(run, self.settings(driver, run.model, key))
        return run

    def drive(self, driver: Driver, run: Run) -> Outcome:
        """Run an agent to its end."""
        records = self.shop.world.upstreams.records
        before, output = len(records), run.home.parent / "output"
        process = driver.start(run, output)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            status = -1
        finally:
            end(process, run.home)
        return Outcome(status, output.read_text(errors="replace"), records[before:])


def end(process: subprocess.Popen[bytes], home: Path) -> None:
    """End an agent and everything that it started: processes of its group, and those with its home."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    mark = f"HOME={home}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)


@pytest.fixture(scope="session")
def strict_world(world: World) -> Iterator[World]:
    """Return the stage with upstreams that check each request."""
    world.upstreams.strict = True
    yield world
    world.upstreams.strict = False


@pytest.fixture(scope="module")
def desk(strict_world: World, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(strict_world.shop(), tmp_path_factory.mktemp("agents"))


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Driver:
    """Return the agent named by the test's parameter, or skip."""
    chosen = DRIVERS[request.param]
    if chosen.missing:
        pytest.skip(chosen.missing)
    return chosen
