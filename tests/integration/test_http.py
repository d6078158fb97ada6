"""HTTP on the deployed stage: statuses and codes for clients and people."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import httpx
import pytest

from tests.integration.publisher import Publisher, message, new_session_id, part, session
from tests.waiting import PATIENCE


class Stack(Protocol):
    @property
    def url(self) -> str: ...


@pytest.fixture(scope="module")
def share(stack: Stack) -> Publisher:
    share = Publisher.create(stack.url)
    share.must_sync(session(share.session_id), message("1", share.session_id), part("1", "hello"))
    return share


def test_sharing_a_session_again_gives_the_same_share_and_secret(stack: Stack, share: Publisher) -> None:
    again = Publisher.create(stack.url, share.session_id)
    assert (again.id, again.secret, again.url) == (share.id, share.secret, share.url)


def test_two_creates_at_once_give_the_same_share(stack: Stack) -> None:
    session_id = new_session_id()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Publisher.create(stack.url, session_id), range(8)))
    assert len({(share.id, share.secret) for share in made}) == 1
    made[0].must_sync(part("1"))


def test_the_link_is_of_the_form_that_import_accepts(stack: Stack, share: Publisher) -> None:
    assert share.url == f"{stack.url}/share/{share.id}"


def test_data_is_what_was_published_but_for_the_ids(share: Publisher) -> None:
    data = {item["type"]: item["data"] for item in share.data()}
    session_id, message_id = data["session"]["id"], data["message"]["id"]
    assert session_id == data["message"]["sessionID"] != share.session_id
    assert data["session"] == {**session(share.session_id)["data"], "id": session_id}
    expected = part("1", "hello")["data"]
    assert data["part"] == {**expected, "id": data["part"]["id"], "messageID": message_id}


def test_two_imports_have_no_id_in_common_and_none_of_the_share(share: Publisher) -> None:
    copies = [{item["data"]["id"] for item in share.data()} for _ in range(2)]
    shown = {item["data"]["id"] for item in share.all_items().values()}
    assert [len(ids) for ids in (*copies, shown)] == [3, 3, 3]
    assert len(shown.union(*copies)) == 9


def test_unknown_types_and_fields_are_kept(stack: Stack) -> None:
    share = Publisher.create(stack.url)
    items: list[dict[str, Any]] = [
        {"type": "hologram", "data": {"id": "h1", "beam": [1, {"x": None}]}},
        part("1", beam=2),
    ]
    share.must_sync(*items)
    shown = [{"type": item["type"], "data": item["data"]} for item in share.all_items().values()]
    assert sorted(shown, key=str) == sorted(items, key=str)


def test_bodies_are_json_whatever_the_content_type(stack: Stack) -> None:
    session_id = new_session_id()
    for content_type in ("text/plain", "application/octet-stream", ""):
        headers = {"content-type": content_type} if content_type else {}
        body = json.dumps({"sessionID": session_id}).encode()
        assert httpx.post(f"{stack.url}/api/share", content=body, headers=headers, timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/api/share", b"{", 400, "invalid_body"),
        ("POST", "/api/share", b"{}", 400, "invalid_body"),
        ("POST", "/api/share", b'{"sessionID":"../x"}', 400, "invalid_session_id"),
        ("POST", "/api/share/{id}/sync", b'{"secret":"{secret}"}', 400, "invalid_body"),
        ("POST", "/api/share/{id}/sync", b'{"secret":"{secret}","data":[{"data":1}]}', 400, "invalid_item"),
        ("POST", "/api/share/{id}/sync", b'{"data":[]}', 401, "missing_secret"),
        ("POST", "/api/share/{id}/sync", b'{"secret":"wrong","data":[]}', 403, "wrong_secret"),
        ("POST", "/api/share/unknown/sync", b'{"secret":"wrong","data":[]}', 404, "share_not_found"),
        ("DELETE", "/api/share/{id}", b"", 401, "missing_secret"),
        ("DELETE", "/api/share/{id}", b'{"secret":"wrong"}', 403, "wrong_secret"),
        ("GET", "/api/share/unknown/data", b"", 404, "share_not_found"),
        ("GET", "/share/unknown/items", b"", 404, "share_not_found"),
        ("GET", "/share/{id}/items?after=x", b"", 400, "invalid_number"),
        ("GET", "/share/{id}/items/999", b"", 404, "item_not_found"),
        ("POST", "/api/shares", b'{"sessionID":"ses_1"}', 401, "login_required"),
        ("GET", "/api/shares/{id}/data", b"", 401, "login_required"),
        ("GET", "/api/admin/shares/{id}", b"", 401, "admin_secret_required"),
        ("GET", "/nowhere", b"", 404, "route_not_found"),
        ("POST", "/share_sync", b'{"sessionID":"s","secret":"x","key":"other/x","content":{}}', 400, "invalid_key"),
        ("GET", "/share_data", b"", 400, "missing_id"),
    ],
)
def test_a_bad_request_gets_a_status_a_stable_code_and_a_sentence(
    share: Publisher, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    path = path.replace("{id}", share.id)
    content = body.replace(b"{secret}", share.secret.encode())
    response = share.http.request(method, path, content=content)
    answer = response.json()
    assert (response.status_code, answer["error"]) == (status, code)
    assert answer["message"].endswith(".")
    assert answer["correlation_id"]


def test_a_refused_batch_leaves_nothing(stack: Stack) -> None:
    share = Publisher.create(stack.url)
    assert share.sync(part("1"), {"type": "part", "data": {}}).status_code == 400
    assert share.data() == []


def test_readers_may_not_keep_what_they_get_and_any_page_may_ask(share: Publisher) -> None:
    response = share.http.get(f"/api/share/{share.id}/data")
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["access-control-allow-origin"] == "*"


def test_a_share_speaks_json_and_markdown_by_suffix_and_by_accept(share: Publisher) -> None:
    by_suffix = share.http.get(f"/share/{share.id}.json")
    by_accept = share.http.get(f"/share/{share.id}", headers={"accept": "application/json"})
    assert by_suffix.json() == by_accept.json()
    assert by_suffix.json()["schema"] == 1
    for response in (
        share.http.get(f"/share/{share.id}.md"),
        share.http.get(f"/share/{share.id}", headers={"accept": "text/markdown"}),
    ):
        assert response.headers["content-type"].startswith("text/markdown")
        assert "hello" in response.text


def test_a_page_has_the_right_status(stack: Stack, share: Publisher) -> None:
    html = {"accept": "text/html"}
    assert share.http.get(f"/share/{share.id}", headers=html).status_code == 200
    assert httpx.get(f"{stack.url}/share/unknown", headers=html, timeout=PATIENCE).status_code == 404
    assert httpx.get(f"{stack.url}/s/{share.id}", timeout=PATIENCE).headers["location"] == f"/share/{share.id}"


def test_the_address_itself_says_how_to_point_a_client_at_it(stack: Stack) -> None:
    response = httpx.get(stack.url, timeout=PATIENCE)
    assert response.status_code == 200
    assert stack.url in response.text


def test_head_answers_as_get_does_without_the_body(share: Publisher) -> None:
    path = f"/share/{share.id}.json"
    head, get = share.http.head(path), share.http.get(path)
    assert (head.status_code, head.headers["content-type"]) == (200, get.headers["content-type"])
    assert head.content == b""
    assert share.http.head("/share/unknown").status_code == 404


def test_a_trace_of_the_client_is_the_correlation_id(stack: Stack) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    response = httpx.get(
        f"{stack.url}/nowhere", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}, timeout=PATIENCE
    )
    assert response.json()["correlation_id"] == trace


class TestLegacy:
    def test_the_old_protocol_and_the_new_one_share_a_store(self, stack: Stack) -> None:
        session_id = new_session_id()
        made = httpx.post(
            f"{stack.url}/share_create", content=json.dumps({"sessionID": session_id}), timeout=PATIENCE
        ).json()
        for key, content in (
            (f"session/part/{session_id}/msg_1/prt_1", {"id": "prt_1", "messageID": "msg_1"}),
            (f"session/info/{session_id}", {"id": session_id, "title": "old"}),
            (f"session/message/{session_id}/msg_1", {"id": "msg_1", "sessionID": session_id}),
        ):
            body = {"sessionID": session_id, "secret": made["secret"], "key": key, "content": content}
            assert httpx.post(f"{stack.url}/share_sync", json=body, timeout=PATIENCE).json() == {}
        share = Publisher.create(stack.url, session_id)
        assert (share.secret, share.url) == (made["secret"], made["url"])
        folded = httpx.get(f"{stack.url}/share_data", params={"id": share.id}, timeout=PATIENCE).json()
        assert folded["info"]["title"] == "old"
        assert folded["messages"]["msg_1"]["parts"] == [{"id": "prt_1", "messageID": "msg_1"}]
        assert {item["type"] for item in share.data()} == {"session", "message", "part"}
        gone = httpx.post(
            f"{stack.url}/share_delete", json={"sessionID": session_id, "secret": made["secret"]}, timeout=PATIENCE
        )
        assert gone.status_code == 200
        assert httpx.get(f"{stack.url}/share_data", params={"id": share.id}, timeout=PATIENCE).status_code == 410

    def test_a_part_may_come_before_its_message(self, stack: Stack) -> None:
        share = Publisher.create(stack.url)
        share.must_sync(part("1"))
        assert share.http.get("/share_data", params={"id": share.id}).json() == {"messages": {}}

    def test_the_socket_path_without_an_upgrade_says_so(self, stack: Stack) -> None:
        response = httpx.get(f"{stack.url}/share_poll?id=x", timeout=PATIENCE)
        assert response.status_code in (400, 403, 426)
