"""A declaration defines a page of the console: path, menu entry, title, template and permission check."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import escape

from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.menu import PAGES
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.access import KnownMember, KnownWorkspace
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, Role, allows
from opencode_cloud.http.pages import pages_app
from opencode_cloud.http.requests import SESSION_COOKIE
from opencode_cloud.kit import web_assets
from opencode_cloud.kit.errors import Forbidden
from tests.menu import console_menu

TEMPLATES = Path(__file__).parents[3] / "web" / "templates" / "administration"
INVOICES = ConsolePage("/invoices", "Invoices", Permission.USAGE_READ, "frame.html")
WORKSPACE = WorkspaceId("wrk_1")


@dataclass
class Reader:
    """A gate that admits a member with a role."""

    role: Role
    name: str = "Acme"
    """The name of the workspace."""

    def member(self, _request: Any, _workspace: str, permission: Permission) -> Actor:
        if not allows(self.role, None, permission):
            raise Forbidden("forbidden", "Your role does not include this.")
        return Actor(kind=ActorKind.MEMBER, credential=CredentialKind.SESSION, id="mem_1", name="Ada", role=self.role)

    def memberships(self, account_id: AccountId) -> list[tuple[KnownMember, KnownWorkspace]]:
        member = KnownMember(id=MemberId("mem_1"), account_id=account_id, workspace_id=WORKSPACE, role=self.role)
        return [(member, self.workspace(WORKSPACE))]

    def workspace(self, _workspace: str) -> KnownWorkspace:
        return KnownWorkspace(id=WORKSPACE, name=self.name)


def asset(name: str) -> str:
    return f"/assets/{web_assets.version()}/{name}"


def event_of(path: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "127.0.0.1:8787"},
        "cookies": [f"__Host-{SESSION_COOKIE}=s", f"{SESSION_COOKIE}=s"],
        "requestContext": {"http": {"method": "GET", "path": path, "sourceIp": "203.0.113.7"}, "stage": "$default"},
    }


def open_page(role: Role, path: str, name: str = "Acme") -> Mapping[str, Any]:
    """Open a page of a console whose only pages are an overview and a made-up one."""
    access: Any = Reader(role, name)
    app = ConsoleApp(access, lambda: "key", lambda _session: None, "")
    resolver = pages_app()
    app.mount(resolver)

    def show(request: PageRequest) -> Any:
        return app.page(request)

    app.add(ConsolePage("", "Overview", Permission.WORKSPACE_READ, "frame.html"), show)
    app.add(INVOICES, show)
    return resolver.resolve(event_of(f"/console/{WORKSPACE}{path}"), SimpleNamespace(aws_request_id="r"))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("role", Role)
def test_a_declaration_is_enough_for_a_new_page(role: Role) -> None:
    permitted, link = allows(role, None, INVOICES.permission), f"/console/{WORKSPACE}/invoices"
    assert (link in open_page(role, "")["body"]) == permitted
    answer = open_page(role, "/invoices")
    assert answer["statusCode"] == (200 if permitted else 403)
    if permitted:
        assert f'<a href="{link}" aria-current="page">Invoices</a>' in answer["body"]
        assert "<title>Invoices of Acme" in answer["body"]


def test_functions_that_serve_some_of_the_pages_show_the_whole_menu() -> None:
    assert list(console_menu(billing=True)) == list(PAGES)


def test_every_page_of_the_menu_has_a_template_and_an_address_and_name_of_its_own() -> None:
    menu = console_menu(billing=True)
    assert menu[0].path == ""
    for names in ({page.path for page in menu}, {page.label for page in menu}, {page.template for page in menu}):
        assert len(names) == len(menu)
    for page in menu:
        assert (TEMPLATES / page.template).is_file()


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "</title><svg onload=alert(1)>",
        '"><img src=x onerror=alert(1)>',
        "' autofocus onfocus='alert(1)",
        "{{ 7 * 7 }}{% include 'x' %}",
    ],
)
def test_a_hostile_name_of_a_workspace_is_text(name: str) -> None:
    answer = open_page(Role.OWNER, "/invoices", name)
    assert "script-src 'self'" in str(answer)
    assert f"<title>Invoices of {escape(name)}" in answer["body"]
    ours = [f'<script src="{asset("theme.js")}">', f'<script type="module" src="{asset("console.js")}">']
    assert re.findall(r"<script[^>]*>", answer["body"]) == ours
    assert name not in answer["body"] or name == escape(name)


@pytest.mark.parametrize("template", sorted(TEMPLATES.parent.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_turns_escaping_off_or_has_a_script_of_its_own(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\|\s*safe\b|\bautoescape\b|\bMarkup\b", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"\son[a-z]+\s*=|javascript:", text)
