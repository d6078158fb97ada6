"""The API of workspaces: statuses, entity tags, pages, problem documents."""

import pytest
from msgspec.structs import replace

from opencode_cloud.contracts.actor import CredentialKind
from opencode_cloud.contracts.permissions import KeyScope, Role
from tests.unit.workspaces.calls import Api
from tests.unit.workspaces.team import Place


@pytest.fixture
def api(place: Place) -> Api:
    return Api(place)


def test_a_workspace_is_made_read_renamed_deleted_and_restored(place: Place, api: Api) -> None:
    ada = api.knows(place.person("ada@example.com"))
    made = api(ada, "POST /api/v1/workspaces", {"name": "Acme"})
    assert (made.status, made.headers["etag"]) == (201, '"1"')
    one = f"/api/v1/workspaces/{made.body['id']}"
    assert api(ada, f"GET {one}").body["name"] == "Acme"

    assert api(ada, f"PATCH {one}", {"name": "Ajax"}).status == 428
    assert api(ada, f"PATCH {one}", {"name": "Ajax"}, if_match='"7"').body["code"] == "stale_version"
    renamed = api(ada, f"PATCH {one}", {"name": "Ajax"}, if_match='"1"')
    assert (renamed.status, renamed.headers["etag"], renamed.body["name"]) == (200, '"2"', "Ajax")

    deleted = api(ada, f"DELETE {one}", if_match='"2"')
    assert deleted.body["purge_after"] > deleted.body["deleted_at"]
    assert api(ada, f"GET {one}").status == 404
    assert [each["id"] for each in api(ada, "GET /api/v1/workspaces").body["data"]] == [made.body["id"]]
    assert api(ada, f"POST {one}/restore").status == 200
    assert api(ada, f"POST {one}/restore").body["code"] == "not_deleted"
    assert api(ada, f"GET {one}").status == 200


def test_times_are_rfc_3339_in_utc(place: Place, api: Api) -> None:
    ada = api.knows(place.person("ada@example.com"))
    made = api(ada, "POST /api/v1/workspaces", {"name": "Acme"})
    assert made.body["created_at"].endswith("Z")
    assert made.headers["cache-control"] == "private, no-store"


def test_what_is_not_of_the_documented_form_is_a_problem_document(place: Place, api: Api) -> None:
    ada = api.knows(place.person("ada@example.com"))
    refused = api(ada, "POST /api/v1/workspaces", {"name": ""})
    assert (refused.status, refused.body["code"]) == (400, "invalid_request")
    assert refused.headers["content-type"] == "application/problem+json"
    assert api(ada, "POST /api/v1/workspaces", {"name": "   "}).body["code"] == "name_required"


def test_members_come_in_pages(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    for name in ("bob", "cyd", "dee", "eli"):
        place.joined(owner, f"{name}@example.com", "member")
    bearer = api.knows(ada)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api(bearer, f"GET /api/v1/workspaces/{owner.workspace_id}/members", query={"limit": "2", **cursor}).body
        seen += [each["email"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(seen) == [f"{name}@example.com" for name in ("ada", "bob", "cyd", "dee", "eli")]


def test_a_member_is_given_a_role_and_removed(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "member")
    bearer, one = api.knows(ada), f"/api/v1/workspaces/{owner.workspace_id}/members/{bob.id}"
    assert api(bearer, f"PATCH {one}", {"role": "admin"}).body["role"] == "admin"
    assert api(bearer, f"PATCH {one}", {"role": "emperor"}).status == 400
    removed = api(bearer, f"DELETE {one}")
    assert (removed.status, removed.body) == (204, None)
    assert api(bearer, f"GET {one}").status == 404


def test_an_invitation_is_made_listed_accepted(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bearer, all_ = api.knows(ada), f"/api/v1/workspaces/{owner.workspace_id}/invitations"
    made = api(bearer, f"POST {all_}", {"email": "bob@example.com", "role": "viewer"})
    assert (made.status, made.body["state"], made.body["delivery"]) == (201, "pending", "queued")
    assert api(bearer, f"POST {all_}", {"email": "BOB@example.com"}).body["code"] == "already_invited"
    assert api(bearer, f"POST {all_}", {"email": "not an address"}).body["code"] == "invalid_address"
    bob = api.knows(place.person("bob@example.com"))
    (mine,) = api(bob, "GET /api/v1/invitations").body["data"]
    assert mine["workspace_name"] == "Acme"
    assert api(bob, f"POST /api/v1/invitations/{mine['id']}/accept").status == 200
    assert api(bob, f"POST /api/v1/invitations/{mine['id']}/accept").status == 200  # a repeated request
    assert api(bob, f"GET /api/v1/workspaces/{owner.workspace_id}").status == 200
    assert api(bearer, f"GET {all_}", query={"state": "accepted"}).body["data"][0]["email"] == "bob@example.com"


def test_a_key_is_shown_once(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bearer, all_ = api.knows(ada), f"/api/v1/workspaces/{owner.workspace_id}/keys"
    made = api(bearer, f"POST {all_}", {"name": "laptop"})
    assert made.status == 201
    secret = made.body["secret"]
    assert secret.startswith("oc_sk_")
    assert len(secret) == 49
    shown = api(bearer, f"GET {all_}/{made.body['id']}").body
    assert "secret" not in shown
    assert secret.startswith(shown["prefix"])
    assert secret.endswith(shown["suffix"])
    rotated = api(bearer, f"POST {all_}/{made.body['id']}/rotate", {"overlap_seconds": 60})
    assert rotated.status == 201
    assert rotated.body["secret"] != secret
    old = api(bearer, f"GET {all_}/{made.body['id']}").body
    assert old["replaced_by"] == rotated.body["id"]
    assert api(bearer, f"DELETE {all_}/{made.body['id']}").status == 204
    assert [each["id"] for each in api(bearer, f"GET {all_}").body["data"]] == [rotated.body["id"]]


def test_service_accounts_and_domains_have_their_routes(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bearer, one = api.knows(ada), f"/api/v1/workspaces/{owner.workspace_id}"
    machine = api(bearer, f"POST {one}/service-accounts", {"name": "ci"}).body
    disabled = api(bearer, f"PATCH {one}/service-accounts/{machine['id']}", {"disabled": True}).body
    assert disabled["disabled_at"]
    assert api(bearer, f"DELETE {one}/service-accounts/{machine['id']}").status == 204
    claimed = api(bearer, f"POST {one}/domains", {"domain": "Example.com"})
    assert claimed.body["domain"] == "example.com"
    assert claimed.body["id"] in claimed.body["record_value"]
    assert api(bearer, f"PATCH {one}/domains/{claimed.body['id']}", {"auto_join": False}).body["auto_join"] is False
    assert api(bearer, f"POST {one}/domains", {"domain": "example.com"}).status == 409
    assert api(bearer, f"POST {one}/domains", {"domain": "other.example", "role": "admin"}).status == 422
    assert api(bearer, f"DELETE {one}/domains/{claimed.body['id']}").status == 204


def test_the_documents_name_each_routes_permission(api: Api) -> None:
    schema = api.app.get_openapi_schema(title="Opencode Cloud", version="1").model_dump(
        by_alias=True, exclude_none=True
    )
    operations = [each for path in schema["paths"].values() for each in path.values()]
    assert len(operations) >= 35
    assert all(each["x-permission"] for each in operations)


def test_cursors_and_filters_of_another_workspace_show_nothing_of_it(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    for name in ("bob", "cyd"):
        place.joined(owner, f"{name}@example.com", "member")
    machine = place.team.service_accounts.create(owner, owner.workspace_id, "ci")
    wish = {"name": "ci", "service_account_id": machine.id}
    bearer, one = api.knows(ada), f"/api/v1/workspaces/{owner.workspace_id}"
    assert api(bearer, f"POST {one}/keys", wish).status == 201
    cursor = api(bearer, f"GET {one}/members", query={"limit": "1"}).body["next_cursor"]
    assert cursor

    stranger = api.knows(eve := place.person("eve@example.com"))
    own = f"/api/v1/workspaces/{place.founded(eve).id}"
    listed = api(stranger, f"GET {own}/members", query={"cursor": cursor}).body["data"]
    assert {each["email"] for each in listed} <= {"eve@example.com"}
    for query in ({"search": "bob"}, {"search": owner.id}, {"role": "member"}):
        assert api(stranger, f"GET {own}/members", query=query).body["data"] == []
    assert api(stranger, f"GET {own}/keys", query={"service_account_id": machine.id}).body["data"] == []
    assert api(stranger, f"GET {own}/members", query={"cursor": cursor[:-2]}).body["code"] == "invalid_cursor"


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2020-01-01T00:00:00Z"])
def test_times_at_the_ends_of_time_are_refused(place: Place, api: Api, moment: str) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    wish = {"name": "k", "expires_at": moment}
    refused = api(api.knows(ada), f"POST /api/v1/workspaces/{owner.workspace_id}/keys", wish)
    assert refused.status in {400, 422}


def test_the_longest_names_are_taken(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bearer, one = api.knows(ada), f"/api/v1/workspaces/{owner.workspace_id}"
    assert api(bearer, f"POST {one}/keys", {"name": "\U0001f511" * 255}).status == 201
    assert api(bearer, f"POST {one}/service-accounts", {"name": "s" * 200}).status == 201
    assert api(bearer, f"POST {one}/service-accounts", {"name": "s" * 201}).status == 400
    assert api(bearer, f"PATCH {one}", {"name": "w" * 255}, if_match='"1"').status == 200


@pytest.mark.parametrize("days", [0, 1, 29, 3651])
def test_the_life_of_the_audit_trail_has_a_floor(place: Place, api: Api, days: int) -> None:
    owner = api.knows(ada := place.person("ada@example.com"))
    one = f"/api/v1/workspaces/{place.founded(ada).id}"
    refused = api(owner, f"PATCH {one}", {"audit_retention_days": days}, if_match='"1"')
    expected = (422, "retention_too_short") if 1 <= days < 30 else (400, "invalid_request")
    assert (refused.status, refused.body["code"]) == expected
    assert api(owner, f"PATCH {one}", {"audit_retention_days": 30}, if_match='"1"').status == 200


def test_a_key_opens_no_domain(place: Place, api: Api) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    own = place.team.domains.add(owner, owner.workspace_id, "example.com", Role.MEMBER, auto_join=False)
    key = api.knows(replace(owner, credential=CredentialKind.KEY, scopes=frozenset(KeyScope)))
    domains = f"/api/v1/workspaces/{owner.workspace_id}/domains"
    wishes = {
        f"POST {domains}": {"domain": "evil.example"},
        f"PATCH {domains}/{own.id}": {"auto_join": True},
        f"POST {domains}/{own.id}/verify": None,
        f"DELETE {domains}/{own.id}": None,
    }
    for route, wish in wishes.items():
        assert api(key, route, wish).body["code"] == "not_permitted", route
    assert api(key, f"GET {domains}").status == 200
