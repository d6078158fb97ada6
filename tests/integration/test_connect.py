"""`opencode-cloud connect` on the deployed stage: a person approves in a browser, and the agent's settings work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.browsing import Browser
from tests.integration.people import Person
from tests.upstreams.world import Shop, World, model_of
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("gateway")
SOURCE = Path(__file__).parents[2] / "clients" / "connect" / "src"
STARTED = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from opencode_cloud_connect.cli import main; main()"
MESSAGE = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    return world.shop()


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run the command with the standard library only; its output is in a file."""
    home.mkdir(exist_ok=True)
    output = home.parent / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", STARTED, *arguments],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process, output
        finally:
            process.kill()
            process.wait()


def approve(person: Person, url: str, output: Path, **choice: str) -> None:
    """Open the printed address as ``person``, compare the code, and approve."""
    found = until(lambda: re.findall(r"Open (\S+)\nCompare the code ([A-Z-]+)", output.read_text()))
    browser = Browser(url)
    browser.http.cookies.set("opencode_session", person.cookie)
    (address, code) = found[0]
    page = browser.open(address)
    assert code in page.text
    assert "opencode-cloud-connect 0.1.0" in page.text
    assert "Device approved" in browser.submit(page, "/device", decision="approve", **choice).text


def call(base: str, key: str) -> httpx.Response:
    body = {"model": model_of("messages"), "max_tokens": 20, "messages": MESSAGE}
    return httpx.post(f"{base}/v1/messages", json=body, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE)


def test_an_approved_command_connects_an_agent_and_takes_it_back(shop: Shop, tmp_path: Path) -> None:
    url, home = shop.world.stack.url, tmp_path / "home"
    other = shop.owner.found("Other")
    with running(home, "connect", "claude-code", "--host", url, "--model", model_of("messages"), "--yes") as (
        process,
        output,
    ):
        approve(shop.owner, url, output, workspace=other)
        assert process.wait(60) == 0, output.read_text()
    variables = json.loads((home / ".claude" / "settings.json").read_text())["env"]
    base, key = variables["ANTHROPIC_BASE_URL"], variables["ANTHROPIC_AUTH_TOKEN"]
    assert key not in output.read_text()
    assert call(base, key).json()["content"][0]["text"].startswith("You said")
    (made,) = shop.owner.http.get(f"/api/v1/workspaces/{other}/keys").json()["data"]
    assert made["scopes"] == ["inference"]
    assert made["name"].startswith("claude-code on ")

    with running(home, "disconnect", "claude-code", "--revoke", "--yes") as (process, output):
        approve(shop.owner, url, output)
        assert process.wait(60) == 0, output.read_text()
    assert not (home / ".claude" / "settings.json").exists()
    until(lambda: call(base, key).status_code == 401)


def test_the_login_ends_with_the_command(shop: Shop, tmp_path: Path) -> None:
    url, home = shop.world.stack.url, tmp_path / "home"
    before = shop.owner.http.get("/account").text.count("opencode on a device")
    with running(home, "connect", "opencode", "--host", url, "--workspace", shop.workspace, "--yes") as (
        process,
        output,
    ):
        approve(shop.owner, url, output)
        assert process.wait(60) == 0, output.read_text()
    assert shop.owner.http.get("/account").text.count("opencode on a device") == before
    config = json.loads((home / ".config" / "opencode" / "opencode.json").read_text())
    provider = config["provider"]["opencode-cloud"]
    assert provider["options"]["baseURL"] == f"{url}/zen/v1"
    assert provider["models"][model_of("messages")]["provider"] == {"npm": "@ai-sdk/anthropic"}
    key_file = Path(provider["options"]["apiKey"].removeprefix("{file:").removesuffix("}"))
    assert call(f"{url}/zen", key_file.read_text().strip()).status_code == 200
