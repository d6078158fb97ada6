"""The API never fails, for requests that follow its document and for requests that do not.

schemathesis generates requests from the committed document: valid ones, and ones that break a single rule. Ids of a
workspace's objects replace some of the made-up ids, because a request with an unknown id is refused early.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.core.result import Ok

from tests.integration.operations import API, DOCUMENT
from tests.integration.world import World, found
from tests.waiting import PATIENCE

Operation = APIOperation[Any, Any, Any, Any]
SCHEMA = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text())).include(path_regex=f"^{API}")
OPERATIONS: list[Operation] = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
OF_CONNECTION = ("Host", "Connection", "Content-Length", "Expect", "Transfer-Encoding", "Upgrade")
"""Headers that the front door answers itself, as API Gateway does, before the API sees the request."""
QUICK, THOROUGH = 2, 100
"""Numbers of requests for each operation, valid and invalid."""


@pytest.fixture(scope="module")
def world(stack: Any) -> World:
    return found(stack)


def try_out(world: World, operation: Operation, mode: GenerationMode, examples: int) -> None:
    """Send `examples` requests as the workspace's owner; raise an error for a wrong answer."""
    names = [parameter.name for parameter in operation.path_parameters]
    all_known = {name: world.ids[name] for name in names}
    some_known = {name: value for name, value in all_known.items() if name == "workspace"}
    cases = [operation.as_strategy(mode, path_parameters=known) for known in (all_known, some_known)]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=st.one_of(cases))
    def send(case: Case) -> None:
        # Replace made-up credentials, because requests with those are refused early.
        for header in ("Authorization", *OF_CONNECTION):
            case.headers.pop(header, None)
        case.cookies = {"opencode_session": world.owner.cookie}
        check(case, case.call(base_url=world.stack.url, headers=SAME_ORIGIN))

    try:
        send()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, f"{operation.label}: nothing can be sent"


def check(case: Case, answer: Response) -> None:
    if answer.status_code < 400:
        return
    said = f"{answer.status_code} {answer.text}\n{case.as_curl_command()}"
    assert answer.status_code < 500, said
    # A made-up id may contain a slash, and so leave the API.
    if answer.json().get("error") != "route_not_found":
        assert answer.headers["content-type"] == ["application/problem+json"], said


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_request_makes_it_fail(world: World, operation: Operation, mode: GenerationMode) -> None:
    try_out(world, operation, mode, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_request_of_very_many_makes_it_fail(world: World, operation: Operation, mode: GenerationMode) -> None:
    try_out(world, operation, mode, THOROUGH)


BESIDE = [
    *(("POST", f"/auth/{name}") for name in ("device/code", "device/token", "token", "revoke", "authorize")),
    *(("GET", f"/api/{name}") for name in ("user", "orgs", "config", "v2/config")),
    *(("GET", path) for path in ("/login", "/login/code", "/device", "/account", "/auth/authorize", "/invitations/x")),
    *(("POST", path) for path in ("/login/email", "/login/code", "/device", "/logout", "/account/sessions/x/end")),
    *(("GET", path) for path in ("/auth/callback/github", "/.well-known/jwks.json", "/get_github_app_installation")),
    *(("POST", f"/exchange_github_app_token{rest}") for rest in ("", "_with_pat")),
]
"""Routes outside of `/api/v1`: routes of clients, pages, the GitHub exchange."""
FIELDS = """grant_type client_id device_code refresh_token code state challenge email user_code continue redirect_uri
response_type code_challenge token decision owner repo"""
NAMES = st.sampled_from(list[str](FIELDS.split()))
VALUES = st.one_of(st.text(max_size=40), st.integers(), st.none(), st.lists(st.text(max_size=3), max_size=2))
BODIES = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(NAMES, VALUES, max_size=5).map(lambda said: json.dumps(said).encode()),
    st.dictionaries(NAMES, st.text(max_size=40), max_size=5).map(
        lambda said: urlencode(said, errors="replace").encode()
    ),
)
KINDS = st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/x"])
BEARERS = st.sampled_from(["", "Bearer", "Bearer x.y.z", "Bearer oc_sk_x", "Bearer github_pat_x", "Basic eA==", "\xff"])


@pytest.mark.parametrize(("method", "path"), BESIDE, ids=lambda value: value)
def test_nothing_makes_the_other_routes_fail(stack: Any, method: str, path: str) -> None:
    @settings(max_examples=8, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    @given(BODIES, KINDS, BEARERS, st.dictionaries(NAMES, st.text(max_size=40), max_size=4), st.booleans())
    def send(body: bytes, kind: str, bearer: str, query: dict[str, str], cookie: bool) -> None:
        headers = {"content-type": kind, "authorization": bearer.encode("latin-1"), "sec-fetch-site": "same-origin"}
        headers |= {"cookie": "opencode_session=x; opencode_browser=x"} if cookie else {}
        sent = {name: value.encode("utf-8", "replace") for name, value in query.items()}
        address = f"{stack.url}{path}?{urlencode(sent)}"
        answer = httpx.request(
            method, address, headers=headers, content=body if method == "POST" else None, timeout=PATIENCE
        )
        # The stage has no GitHub App, so the exchange answers that.
        assert answer.status_code < 500 or answer.json().get("code") == "github_app_refused", (
            f"{answer.status_code} {answer.text}: {method} {address} {headers} {body!r}"
        )

    send()
