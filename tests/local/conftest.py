"""What the parts of the local stage are tried with: an emulator alone, without a deployment, and a client."""

import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest

from local.deployment import CREDENTIALS, REGION
from local.processes import Program, accepts, clean_environment, free_port

ROOT = Path(__file__).resolve().parents[2]


class Emulator:
    """MiniStack behind our launcher, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = Program("emulator", folder / "run", folder / "logs")

    def start(self) -> None:
        command = [str(ROOT / ".tools/ministack/bin/python"), "-m", "local.emulator.launcher", "--with-parent"]
        command += ["--port", str(self.port), "--state", str(self.folder / "state")]
        self.program.start(command, clean_environment(**CREDENTIALS, AWS_DEFAULT_REGION=REGION), ROOT)
        self.program.wait_until(lambda: accepts(self.port), 60)

    def save(self) -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_local/save", method="POST"), timeout=30):
            pass

    def client(self, service: str) -> Any:
        settings = {"endpoint_url": self.url, "region_name": REGION}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, **settings, **keys)  # pyright: ignore[reportCallIssue, reportArgumentType]


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path)
    emulator.start()
    yield emulator
    emulator.program.stop()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client
