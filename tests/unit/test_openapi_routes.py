"""Each deployed route is in the document of the API, or in a short list with a reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.routes import API_ROUTES, HUB_ROUTES, ROUTES
from opencode_cloud.http.openapi import ALSO_AT

ROOT = Path(__file__).resolve().parents[2]
PATHS: dict[str, dict[str, Any]] = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]

PAGES = "a page for people"
LEGACY = "the protocol of clients up to 1.0.6x, which no new client uses: docs/protocol.md"
GITHUB = "the protocol of opencode's GitHub agent: docs/github.md"
FILES = "files of pages"
ELSEWHERE: Mapping[str, str] = {
    r"GET /": PAGES,
    r"\w+ /account(/.*)?": PAGES,
    r"GET /api/docs(/.*)?": "the page of this document",
    r"GET /api/openapi\.json": "this document",
    r"GET /assets/.*": FILES,
    r"GET /auth/callback/.*": "a provider of logins sends the browser there",
    r"POST /auth/authorize": "the form of the page of consent",
    r"\w+ /console(/.*)?": PAGES,
    r"\w+ /device(/.*)?": PAGES,
    r"POST /exchange_github_app_token(_with_pat)?": GITHUB,
    r"GET /get_github_app_installation": GITHUB,
    r"POST /internal/posts": "a sealed post from a function to a hub",
    r"\w+ /invitations(/.*)?": PAGES,
    r"\w+ /login(/.*)?": PAGES,
    r"\w+ /logout": PAGES,
    r"\w+ /operator(/.*)?": PAGES,
    r"POST /share/\{share\}/owner": "a form of the owner's panel on the page of a share",
    r"\w+ /share_(create|data|delete|delete_admin|poll|sync)": LEGACY,
    r"POST /stripe/webhook": "Stripe alone calls it: docs/stripe.md",
}
"""Patterns of routes that are not in the document, and why."""
OTHER_SERVERS = {"GET /live": "API Gateway", "GET /.well-known/opencode": "the bucket of static documents"}
"""Documented routes that no HTTP function serves."""


def documented() -> set[str]:
    routes = {f"{method.upper()} {path}" for path, item in PATHS.items() for method in item}
    for item in PATHS.values():
        routes |= {
            f"{method.upper()} {path}" for method, operation in item.items() for path in operation.get(ALSO_AT, ())
        }
    return routes


def elsewhere(route: str) -> bool:
    return any(re.fullmatch(pattern, route) for pattern in ELSEWHERE)


@pytest.fixture(scope="module")
def deployed() -> set[str]:
    # In a separate process, because it changes its environment and creates AWS clients.
    command = [sys.executable, "-m", "tests.deployed_routes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {f"{method} {path}" for _, method, path in json.loads(done.stdout)}


def spoken(route: str) -> set[str]:
    """Return the documented forms of a route. Google's addresses name model and method in one part."""
    if not route.endswith("/models/{call}"):
        return {route}
    return {route.replace("{call}", f"{{model}}:{method}") for method in ("generateContent", "streamGenerateContent")}


def test_each_deployed_route_is_in_the_document_or_has_a_reason(deployed: set[str]) -> None:
    assert len(deployed) > 250
    missing = [route for route in deployed if not spoken(route) <= documented() and not elsewhere(route)]
    assert not missing, "describe these in local/planes, or give a reason in ELSEWHERE"


def test_each_documented_route_is_deployed(deployed: set[str]) -> None:
    known = {form for route in deployed for form in spoken(route)} | OTHER_SERVERS.keys()
    assert documented() - known == set()


def test_no_reason_is_given_for_a_documented_route(deployed: set[str]) -> None:
    assert [route for route in documented() if elsewhere(route)] == []
    patterns = [*deployed, "POST /internal/posts", "POST /stripe/webhook"]
    assert [each for each in ELSEWHERE if not any(re.fullmatch(each, route) for route in patterns)] == []


def test_each_address_of_the_edge_leads_to_something_that_is_known() -> None:
    listed = [pattern for patterns in API_ROUTES.values() for pattern in patterns]
    routed = [route.pattern for route in (*ROUTES, *HUB_ROUTES)]
    for pattern in (*listed, *routed):
        form = re.sub(r"\{\w+\+\}|\*$", ".*", re.sub(r"\{\w+_id\}", "{workspace}", pattern)).replace(
            "{workspace}", ".+"
        )
        known = [route for route in documented() if re.fullmatch(form, route.partition(" ")[2])]
        reasons = [each for each in ELSEWHERE if re.fullmatch(each.partition(" ")[2], re.sub(r"\.[*+]", "x", form))]
        assert known or reasons, pattern
