"""The real client logs in. A person approves it in a real browser. Tokens are refreshed, shared and revoked."""

import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from local.stack import LocalStack
from opencode_cloud.kit.ids import new_object_id
from tests.codes import code_of
from tests.waiting import PATIENCE, eventually

from .conftest import MakeHome
from .opencode import Home

pytestmark = pytest.mark.e2e
ACCOUNT = "SELECT id, email, url, access_token, refresh_token, token_expiry FROM account"
NEAR_EXPIRY_MS = 60_000
"""The client refreshes a token that expires in less than five minutes."""


@pytest.fixture
def email() -> str:
    return f"{new_object_id()[:12]}@example.com"


@pytest.fixture
def page(browser: Browser, stack: LocalStack, email: str) -> Iterator[Page]:
    """Return a browser page in which the person `email` has signed in by a code."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stack.url}/login")
    page.fill("#email", email)
    page.click("button:has-text('Send me a code')")
    page.wait_for_url("**/login/code?challenge=*")
    page.fill("#code", code_of(stack, page.url))
    page.click("main button")
    page.wait_for_url(f"{stack.url}/")
    yield page
    context.close()


def log_in(home: Home, stack: LocalStack, page: Page, decision: str = "Approve") -> str:
    """Run `opencode console login`, open the URL that it prints, and return its whole output."""
    output = home.logs / f"login-{time.monotonic_ns()}.out"
    with output.open("wb") as stdout:
        process = subprocess.Popen(
            [home.binary, "console", "login", stack.url],
            cwd=home.project,
            env=home.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
        )
    try:
        page.goto(eventually(lambda: printed_address(output.read_text())))
        assert page.inner_text(".usercode b") in output.read_text()
        assert "opencode 1.18.33" in page.inner_text("dl")
        page.click(f"button:has-text('{decision}')")
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    return output.read_text()


def printed_address(text: str) -> str:
    match = re.search(r"http://[\w.:]+/device\?user_code=[A-Z-]+", text)
    assert match, text
    return match[0]


def stored(home: Home) -> list[Any]:
    """Return the account in the client's database."""
    with closing(sqlite3.connect(home.root / "data" / "opencode" / "opencode.db")) as connection:
        return connection.execute(ACCOUNT).fetchall()


def near_expiry(home: Home) -> None:
    with closing(sqlite3.connect(home.root / "data" / "opencode" / "opencode.db")) as connection, connection:
        soon = int(time.time() * 1000) + NEAR_EXPIRY_MS
        connection.execute("UPDATE account SET token_expiry = ?", (soon,))


def workspaces(home: Home) -> str:
    return home.try_to_run("console", "orgs")


@pytest.mark.slow
def test_a_person_approves_the_client_and_it_knows_their_workspaces(
    stack: LocalStack, make_home: MakeHome, page: Page, email: str
) -> None:
    home = make_home()
    log_in(home, stack, page)
    ((_, known, url, _, _, expiry),) = stored(home)
    assert (known, url) == (email, stack.url)
    assert expiry / 1000 > time.time() + 29 * 86_400
    assert "Personal" in workspaces(home)

    home.run("console", "logout", email)
    assert stored(home) == []


@pytest.mark.slow
def test_a_person_denies_the_client(stack: LocalStack, make_home: MakeHome, page: Page) -> None:
    home = make_home()
    said = log_in(home, stack, page, "Deny")
    assert "denied" in said.lower()
    assert stored(home) == []


@pytest.mark.slow
def test_the_client_refreshes_a_token_that_expires_soon(stack: LocalStack, make_home: MakeHome, page: Page) -> None:
    home = make_home()
    log_in(home, stack, page)
    ((_, _, _, access, refresh, _),) = stored(home)
    near_expiry(home)
    assert "Personal" in workspaces(home)
    ((_, _, _, new_access, new_refresh, expiry),) = stored(home)
    assert new_access != access
    assert new_refresh != refresh
    assert expiry / 1000 > time.time() + 29 * 86_400


@pytest.mark.slow
def test_two_processes_that_refresh_at_once_both_go_on(stack: LocalStack, make_home: MakeHome, page: Page) -> None:
    home = make_home()
    log_in(home, stack, page)
    for _ in range(2):
        near_expiry(home)
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(workspaces, [home, home]))
        assert ["Personal" in each for each in said] == [True, True]
    near_expiry(home)
    assert "Personal" in workspaces(home)


@pytest.mark.slow
def test_a_device_that_its_owner_signs_out_is_out_at_once(stack: LocalStack, make_home: MakeHome, page: Page) -> None:
    home = make_home()
    log_in(home, stack, page)
    ((_, _, _, access, _, _),) = stored(home)
    page.goto(f"{stack.url}/account")
    page.click("li:has-text('opencode on a device') button")
    for path in ("/api/user", "/api/orgs", "/api/v1/workspaces"):
        answer = httpx.get(f"{stack.url}{path}", headers={"Authorization": f"Bearer {access}"}, timeout=PATIENCE)
        assert answer.status_code == 401, path
    assert "Personal" not in workspaces(home)
