"""The API of policies and configuration documents: statuses, entity tags, pages, problem documents."""

import pytest
from msgspec.structs import replace

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.contracts.actor import CredentialKind
from opencode_cloud.contracts.ids import KeyId
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.kit.sql import Database
from opencode_cloud.policies.routes import PolicyRoutes
from opencode_cloud.policies.service import Publisher
from opencode_cloud.policies.store import DocumentStore
from tests.unit.workspaces.calls import Api
from tests.unit.workspaces.team import Place

HERE = "https://cloud.example"


class Desk:
    """A workspace with an owner and a member, and the API over it."""

    def __init__(self, database: Database) -> None:
        place = Place(database)
        ada = place.person("ada@example.com")
        owner = place.member(ada, place.founded(ada).id)
        self.api = Api(place)
        self.owner = self.api.knows(ada)
        self.member = self.api.knows(place.joined(owner, "bob@example.com", "member"))
        self.admin = self.api.knows(place.joined(owner, "carol@example.com", "admin"))
        key = replace(owner, credential=CredentialKind.KEY, key_id=KeyId("key_1"), scopes=frozenset(KeyScope))
        self.key = self.api.knows(key)
        self.stranger = self.api.knows(place.person("eve@example.com"))
        publisher = Publisher(DocumentStore(database), place.outbox, AuditTrail(AuditStore()))
        PolicyRoutes(publisher, self.api.access, HERE).mount(self.api.app)
        self.policy = f"/api/v1/workspaces/{owner.workspace_id}/policy"
        self.configuration = f"/api/v1/workspaces/{owner.workspace_id}/configuration"


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_a_policy_is_published_compared_and_taken_back(desk: Desk) -> None:
    call, policy = desk.api, desk.policy
    first = call(desk.owner, f"GET {policy}")
    assert (first.status, first.headers["etag"], first.body["created_at"]) == (200, '"0"', None)

    wanted = {"policy": {"share": {"mode": "workspace"}, "models": {"allow": ["acme/*"]}}, "comment": "Ours only"}
    assert call(desk.owner, f"PUT {policy}", wanted).body["code"] == "version_required"
    made = call(desk.owner, f"PUT {policy}", wanted, if_match='"0"')
    assert (made.status, made.headers["etag"], made.body["version"]) == (200, '"1"', 1)
    assert made.body["policy"]["share"] == {
        "mode": "workspace",
        "max_lifetime_seconds": None,
        "redaction": "on",
        "patterns": [],
    }
    assert (made.body["comment"], made.body["created_by"]) == ("Ours only", "ada@example.com")
    assert made.body["created_at"].endswith("Z")
    assert call(desk.owner, f"PUT {policy}", wanted, if_match='"0"').status == 412

    changes = call(desk.owner, f"GET {policy}/differences", query={"from": "0", "to": "1"}).body["changes"]
    assert {"path": "/share/mode", "change": "changed", "before": "link", "after": "workspace"} in changes
    back = call(desk.owner, f"POST {policy}/versions/0/restore", {}, if_match='"1"')
    assert (back.status, back.body["version"], back.body["policy"]["share"]["mode"]) == (200, 2, "link")
    page = call(desk.owner, f"GET {policy}/versions", query={"limit": "1"}).body
    assert [each["version"] for each in page["data"]] == [2]
    page = call(desk.owner, f"GET {policy}/versions", query={"cursor": page["next_cursor"]}).body
    assert ([each["version"] for each in page["data"]], page["next_cursor"]) == ([1], None)
    assert call(desk.owner, f"GET {policy}/versions/1").body["policy"]["models"]["allow"] == ["acme/*"]
    assert call(desk.owner, f"GET {policy}/versions/7").body["code"] == "version_not_found"


def test_a_configuration_is_checked_published_and_seen_compiled(desk: Desk) -> None:
    call, configuration = desk.api, desk.configuration
    wrong = {"configuration": {"share": "sometimes", "provider": {"acme": {"options": {"apiKey": "abc"}}}}}
    for route in (f"PUT {configuration}", f"POST {configuration}/check"):
        refused = call(desk.owner, route, wrong, if_match='"0"')
        assert (refused.status, refused.body["code"]) == (422, "invalid_document")
        assert {each["field"] for each in refused.body["errors"]} == {"/share", "/provider/acme/options/apiKey"}
    right = {"configuration": {"model": "acme/m1", "share": "auto"}}
    checked = call(desk.owner, f"POST {configuration}/check", right).body
    assert checked == {"config": right["configuration"], "programs": []}
    assert call(desk.owner, f"PUT {configuration}", right, if_match='"0"').headers["etag"] == '"1"'
    call(desk.owner, f"PUT {desk.policy}", {"policy": {"share": {"mode": "off"}}}, if_match='"0"')
    compiled = call(desk.owner, f"GET {configuration}/compiled").body
    assert compiled == {"config": {"model": "acme/m1", "share": "disabled"}}


def test_no_key_publishes_or_restores_but_it_may_check(desk: Desk) -> None:
    wishes = {
        f"PUT {desk.policy}": {"policy": {}},
        f"POST {desk.policy}/versions/0/restore": {},
        f"PUT {desk.configuration}": {"configuration": {}},
        f"POST {desk.configuration}/versions/0/restore": {},
    }
    for route, wish in wishes.items():
        assert desk.api(desk.key, route, wish, if_match='"0"').body["code"] == "not_permitted", route
    programs = {"configuration": {"plugin": ["x"], "mcp": {"y": {"type": "local", "command": ["sh"]}}}}
    checked = desk.api(desk.key, f"POST {desk.configuration}/check", programs)
    assert [each["path"] for each in checked.body["programs"]] == ["/plugin", "/mcp/y"]


def test_an_admin_is_told_which_programs_need_an_owner(desk: Desk) -> None:
    wish = {"configuration": {"username": "acme", "plugin": ["x"], "lsp": {"y": {"command": ["sh"]}}}}
    refused = desk.api(desk.admin, f"PUT {desk.configuration}", wish, if_match='"0"')
    assert (refused.status, refused.body["code"]) == (403, "owner_required")
    assert [each["field"] for each in refused.body["errors"]] == ["/plugin", "/lsp/y"]
    assert desk.api(desk.owner, f"PUT {desk.configuration}", wish, if_match='"0"').status == 200


def test_the_token_goes_to_this_deployment_only(desk: Desk) -> None:
    def wish(address: str) -> dict[str, object]:
        options = {"baseURL": address, "apiKey": "{env:OPENCODE_CONSOLE_TOKEN}"}
        return {"configuration": {"provider": {"acme": {"npm": "acme", "options": options}}}}

    refused = desk.api(desk.owner, f"PUT {desk.configuration}", wish("https://evil.example/v1"), if_match='"0"')
    assert (refused.status, refused.body["code"]) == (422, "invalid_document")
    assert [each["field"] for each in refused.body["errors"]] == ["/provider/acme/options/apiKey"]
    assert desk.api(desk.owner, f"PUT {desk.configuration}", wish(f"{HERE}/v1"), if_match='"0"').status == 200


def test_a_policy_that_contradicts_itself_is_a_problem_that_says_so(desk: Desk) -> None:
    wanted = {"policy": {"default_model": "openai/gpt-5", "providers": {"allow": ["acme"]}}}
    refused = desk.api(desk.owner, f"PUT {desk.policy}", wanted, if_match='"0"')
    assert (refused.status, refused.body["code"]) == (400, "invalid_request")
    assert "openai/gpt-5 is not among" in refused.body["detail"]


def test_members_read_the_policy_and_change_nothing(desk: Desk) -> None:
    assert desk.api(desk.member, f"GET {desk.policy}").status == 200
    wanted = {"policy": {}}
    assert desk.api(desk.member, f"PUT {desk.policy}", wanted, if_match='"0"').body["code"] == "not_permitted"
    assert desk.api(desk.member, f"GET {desk.configuration}").status == 403
    assert desk.api(desk.stranger, f"GET {desk.policy}").status == 404
