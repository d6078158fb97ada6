"""Every page, found by its links, before outside judges: axe, the browser's console, a phone's width, and the weight.

One stage with the demo serves all of them. Pictures are kept in ``.local/screenshots/pages``.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser

from local import demo_shares
from local.demo import NAME, OWNER, seed
from local.gallery import publish
from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Role, allows
from tests.integration.people import People, Person
from tests.integration.publisher import new_session_id
from tests.menu import console_menu
from tests.sharing_stage import STAGE_FILE

from .judging import HEAVIEST, LOOKS, Judge, kind
from .test_payments import GOOD, Payer

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

OPERATOR = "operator@example.com"
MOST_KINDS = 200
MOST_VIEWS = 4
"""Views of a page, each with a query of other names, that are judged."""
FILES = r"/assets/|/api/(?!docs)|[?&]language="
"""Links to files, to the API, and to the same page in another language."""
ELSEWHERE = re.compile(rf"{FILES}|/api/docs|/share/|/operator")
"""Also links to pages that other tests judge."""
BRIEFLY = re.compile(rf"{ELSEWHERE.pattern}|[?]")
"""Also links to other views of the same page."""
OF_GALLERY = 180_000
"""Bytes of the gallery. It has every kind of part, and code in view, for which the page loads the highlighter."""
PHONE = {name: look for name, look in LOOKS.items() if name == "phone-dark"}


@dataclass(frozen=True)
class Deployed:
    """A stage with the demo, and people in its workspace."""

    stack: LocalStack
    people: People
    owner: Person
    workspace: str

    @property
    def base(self) -> str:
        return f"/console/{self.workspace}"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Run a stage of its own, because it has a ledger, operators and the demo."""
    folder = tmp_path_factory.mktemp("every-page")
    with LocalStack(folder, durability="process", stage_file=STAGE_FILE, stripe_port=0) as stack:
        seed(stack)
        people = People(stack)
        owner = people.signed_in(OWNER)
        mine = owner.http.get("/api/v1/workspaces").json()["data"]
        (workspace,) = (each["id"] for each in mine if each["name"] == NAME)
        yield Deployed(stack, people, owner, workspace)


def walk(judge: Judge, begin: str = "/", elsewhere: re.Pattern[str] = ELSEWHERE) -> set[str]:
    """Judge one page of each kind that links lead to, also in a few of its views, and return the kinds."""
    kinds, views, todo = {kind(begin)}, Counter[str](), deque([begin])
    while todo:
        for path in judge.open(todo.popleft()):
            found = kind(path)
            page = found.partition("?")[0]
            if found not in kinds and views[page] < MOST_VIEWS and not elsewhere.search(path):
                kinds.add(found)
                views[page] += 1
                todo.append(path)
        assert len(kinds) < MOST_KINDS
    return kinds


def test_every_page_of_the_owner(deployed: Deployed, browser: Browser) -> None:
    fill(deployed, browser)
    judge = Judge(browser, deployed.stack.url, deployed.owner.cookie, who="owner")
    kinds = walk(judge)
    expected = {kind(deployed.base + page.path) for page in console_menu(billing=True)}
    assert expected - kinds == set()
    assert judge.faults == []
    judge.close()


def fill(deployed: Deployed, browser: Browser) -> None:
    """Give the workspace an open invitation and an invoice, which the demo lacks."""
    owner, base = deployed.owner, f"/api/v1/workspaces/{deployed.workspace}"
    wish = {"email": f"{secrets.token_hex(4)}@example.com", "role": "member"}
    owner.http.post(f"{base}/invitations", json=wish).raise_for_status()
    context = browser.new_context()
    context.add_cookies([{"name": "opencode_session", "value": owner.cookie, "url": deployed.stack.url}])
    payer = Payer(deployed.stack, owner, deployed.workspace, context.new_page())
    payer.begin()
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    context.close()


@pytest.mark.parametrize("role", [Role.BILLING, Role.MEMBER, Role.VIEWER])
def test_every_page_of_the_other_roles_on_a_phone(deployed: Deployed, browser: Browser, role: Role) -> None:
    person = deployed.people.joined(deployed.owner, deployed.workspace, role)
    judge = Judge(browser, deployed.stack.url, person.cookie, looks=PHONE, who=str(role))
    kinds = walk(judge, deployed.base, BRIEFLY)
    expected = {
        kind(deployed.base + page.path) for page in console_menu(billing=True) if allows(role, None, page.permission)
    }
    assert expected - kinds == set()
    assert judge.faults == []
    judge.close()


def test_every_page_in_chinese_on_a_phone(deployed: Deployed, browser: Browser) -> None:
    judge = Judge(
        browser, deployed.stack.url, deployed.owner.cookie, looks=PHONE, who="chinese-owner", language="zh-CN"
    )
    assert len(walk(judge, deployed.base, BRIEFLY)) > len(console_menu(billing=True))
    assert judge.faults == []
    judge.close()


def test_every_page_of_operators(deployed: Deployed, browser: Browser) -> None:
    operator = deployed.people.somebody(OPERATOR)
    judge = Judge(browser, deployed.stack.url, operator.cookie, who="operator")
    kinds = walk(judge, "/operator", re.compile(r"^(?!/operator)|[?&]language="))
    assert {"/operator", "/operator/books", "/operator/queues", "/operator/people/*"} <= kinds
    assert judge.faults == []
    judge.close()


def test_every_page_of_a_visitor(deployed: Deployed, browser: Browser) -> None:
    judge = Judge(browser, deployed.stack.url)
    kinds = walk(judge, elsewhere=re.compile(FILES))
    assert {"/", "/login", "/api/docs", "/api/docs/problems"} <= kinds
    judge.open("/nowhere", 404)
    assert judge.faults == []
    judge.close()


def test_the_pages_of_shares(deployed: Deployed, browser: Browser) -> None:
    gallery = publish(deployed.stack.url, new_session_id()).removeprefix(deployed.stack.url)
    listed = deployed.owner.http.get(f"/api/v1/workspaces/{deployed.workspace}/shares").json()["data"]
    share, restricted = f"/share/{listed[0]['id']}", with_password(deployed)
    faults: list[str] = []
    for who, cookie, path, status in (
        ("reader", "", gallery, 200),
        ("owner", deployed.owner.cookie, share, 200),
        ("stranger", "", share, 401),
        ("without-password", "", restricted, 401),
        ("late-reader", "", f"/share/{'x' * 22}", 404),
    ):
        # A new browser, in which also the files of workers are loaded for the first time.
        judge = Judge(
            browser, deployed.stack.url, cookie, who=who, heaviest=OF_GALLERY if path == gallery else HEAVIEST
        )
        judge.open(path, status)
        faults += judge.faults
        judge.close()
    assert faults == []


def with_password(deployed: Deployed) -> str:
    """Return the path of a share with a password. The policy of the demo permits none."""
    owner = deployed.people.somebody()
    workspace = owner.found("Open")
    url = demo_shares.publish(deployed.stack.url, owner.key(workspace, scopes=["inference", "admin"]))[0]
    share = url.rpartition("/")[2]
    change = {"mode": "password", "password": "correct horse"}
    owner.http.patch(f"/api/v1/workspaces/{workspace}/shares/{share}", json=change).raise_for_status()
    return f"/share/{share}"


def test_the_pages_that_forms_lead_to(deployed: Deployed, browser: Browser) -> None:
    judge = Judge(browser, deployed.stack.url, deployed.owner.cookie, who="form")
    tab, url = judge.tab, deployed.stack.url
    device = httpx.post(f"{url}/auth/device/code", json={"client_id": "opencode-cli"}, timeout=60).json()
    judge.open(f"/device?user_code={device['user_code']}")
    tab.get_by_role("button", name="Approve").click()
    judge.look("device-approved")
    judge.open("/device?user_code=WRON-GONE", 404)
    tab.goto(f"{url}{deployed.base}/members")
    tab.get_by_label("E-mail addresses").fill("nobody")
    tab.get_by_role("button", name="Invite").click()
    judge.look("invitation-refused")
    tab.goto(f"{url}{deployed.base}/keys")
    tab.get_by_label("Name", exact=True).first.fill("laptop")
    tab.get_by_role("button", name="Create key").click()
    judge.look("new-key")
    judge.open(f"{deployed.base}/nothing", 404)
    tab.goto(f"{url}{deployed.base}")
    tab.locator("details.menu").evaluate_all("(menus) => menus.forEach((each) => (each.open = true))")
    judge.look("menus")
    tab.keyboard.press("Control+k")
    judge.look("list-of-pages")
    assert judge.faults == []
    judge.close()

    stranger = Judge(browser, url, who="form")
    stranger.tab.goto(f"{url}/login")
    stranger.tab.fill("#email", "somebody@example.com")
    stranger.tab.get_by_role("button", name="Send me a code").click()
    stranger.look("login-code")
    stranger.tab.fill("#code", "00000000")
    stranger.tab.locator("main button").first.click()
    stranger.look("login-code-wrong")
    assert stranger.faults == []
    stranger.close()
