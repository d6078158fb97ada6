"""The functions of the sync plane, called in process as API Gateway, SQS and the table's stream call them."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from opencode_cloud.kit import log
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import Mode
from opencode_cloud.sharing.service.access import Visitor
from tests.emulator.functions import Reply, event, invoke, load
from tests.emulator.sharing.gateway import Gateway, Socket
from tests.emulator.sharing.plane import Environment, Person, Plane, SharedSession
from tests.integration.publisher import message, new_session_id, part, session
from tests.ministack import Emulator, pointed_at

PROOF = "proof of the CDN"
ADMIN = "a" * 43


@dataclass
class Functions:
    """The functions and their sync plane."""

    plane: Plane
    share: ModuleType
    live: ModuleType
    deliver: ModuleType
    purge: ModuleType

    def http(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        return invoke(self.share.handler, event(method, path, json.dumps(body) if body is not None else "", headers))

    def create(self) -> dict[str, str]:
        return self.http("POST", "/api/share", {"sessionID": new_session_id()}).json

    def sync(self, share: dict[str, str], *items: dict[str, Any], secret: str | None = None) -> Reply:
        body = {"secret": share["secret"] if secret is None else secret, "data": list(items)}
        return self.http("POST", f"/api/share/{share['id']}/sync", body)

    def refusals(self, workspace: str) -> list[dict[str, Any]]:
        """Take the audit entries from the queue, and return the refusals of a workspace."""
        entries = self.plane.received(self.plane.audit)
        return [each for each in entries if (each["action"], each["workspace_id"]) == ("share.refused", workspace)]

    def socket_event(self, socket: Socket, kind: str, body: str = "", **query: str) -> dict[str, Any]:
        context = {"connectionId": socket.id, "eventType": kind, "requestId": "r", "requestTimeEpoch": 1000}
        return self.live.handler(
            {"requestContext": context, "body": body, "queryStringParameters": query},
            SimpleNamespace(aws_request_id="request"),
        )

    def say(self, socket: Socket, **what: Any) -> dict[str, Any] | None:
        """Send a message over a socket and return the frame that answers it."""
        answer = self.socket_event(socket, "MESSAGE", json.dumps(what))
        return json.loads(answer["body"]) if "body" in answer else None


@pytest.fixture(scope="module")
def functions(emulator: Emulator, gateway: Gateway) -> Iterator[Functions]:
    plane = Plane(emulator, gateway)
    secret = emulator.client("secretsmanager").create_secret
    mark = secrets.token_hex(4)
    settings = {
        "SHARES_TABLE": plane.shares,
        "SHARES_BUCKET": plane.bucket,
        "CONNECTIONS_TABLE": plane.connections,
        "ACCESS_TABLE": plane.access,
        "SESSIONS_TABLE": plane.sessions,
        "SESSION_KEY_SECRET": secret(Name=f"session-key-{mark}", SecretString="k" * 43)["ARN"],
        "ORIGIN_SECRET": secret(Name=f"origin-{mark}", SecretString=PROOF)["ARN"],
        "ADMIN_SECRET": secret(Name=f"admin-{mark}", SecretString=ADMIN)["ARN"],
        "SIGNING_KEYS": "arn:aws:kms:us-east-1:000000000000:key/none",
        "WEBSOCKET_ENDPOINT": gateway.endpoint,
        "DELIVER_FUNCTION": plane.deliver,
        "PURGE_QUEUE_URL": plane.purges,
        "AUDIT_QUEUE_URL": plane.audit,
        "AWS_ENDPOINT_URL_LAMBDA": gateway.origin,
    }
    with pointed_at(emulator.url, **settings):
        yield Functions(plane, *(load(name) for name in ("share", "live", "deliver", "purge")))


class TestHttp:
    def test_a_client_creates_syncs_reads_and_deletes(self, functions: Functions) -> None:
        share = functions.create()
        assert share["url"].endswith(f"/share/{share['id']}")
        assert functions.sync(share, part("1", "one")).json == {"seq": 1}
        data = functions.http("GET", f"/api/share/{share['id']}/data")
        assert [item["data"]["text"] for item in data.json] == ["one"]
        assert functions.http("GET", f"/share/{share['id']}/items?after=1").json["items"] == []
        assert functions.http("DELETE", f"/api/share/{share['id']}", {"secret": share["secret"]}).json == {}
        for path in (f"/api/share/{share['id']}/data", f"/share/{share['id']}", f"/share/{share['id']}.md"):
            assert functions.http("GET", path).status == 410

    @pytest.mark.parametrize(("secret", "status", "code"), [("", 401, "missing_secret"), ("x", 403, "wrong_secret")])
    def test_a_sync_needs_the_secret(self, functions: Functions, secret: str, status: int, code: str) -> None:
        refused = functions.sync(functions.create(), part("1"), secret=secret)
        assert (refused.status, refused.json["error"]) == (status, code)

    def test_a_malformed_item_is_named_and_nothing_of_its_batch_is_stored(self, functions: Functions) -> None:
        share = functions.create()
        refused = functions.sync(share, part("1"), {"type": "part", "data": {}})
        assert (refused.status, refused.json["error"]) == (400, "invalid_item")
        assert "1" in refused.json["message"]
        assert functions.http("GET", f"/api/share/{share['id']}/data").json == []

    def test_legacy_clients_send_the_secret_without_the_shares_id(self, functions: Functions) -> None:
        session_id = new_session_id()
        share = functions.http("POST", "/share_create", {"sessionID": session_id}).json
        body = {"sessionID": session_id, "secret": share["secret"], "key": f"session/message/{session_id}/msg_1"}
        assert functions.http("POST", "/share_sync", {**body, "content": message("1")["data"]}).json == {}
        found = functions.http("GET", f"/share_data?id={share['id']}").json
        assert list(found["messages"]) == ["msg_1"]
        wrong = functions.http("POST", "/share_sync", {**body, "key": "elsewhere", "content": {}})
        assert (wrong.status, wrong.json["error"]) == (400, "invalid_key")
        for secret, status in (("", 401), ("wrong", 403)):
            for path in ("/share_sync", "/share_delete"):
                refused = functions.http("POST", path, {**body, "content": {}, "secret": secret})
                assert refused.status == status
        deleted = {"sessionID": session_id, "secret": share["secret"]}
        assert [functions.http("POST", "/share_delete", deleted).status for _ in range(2)] == [200, 200]
        assert functions.http("GET", f"/share_data?id={share['id']}").status == 410

    def test_a_refused_key_is_kept_for_the_admins_of_its_workspace(self, functions: Functions) -> None:
        people = functions.plane.people
        workspace = people.workspace()
        owner = people.member(workspace)
        people.remove(owner, workspace)
        headers = {"authorization": f"Bearer {owner.key}"}
        refused = functions.http("POST", "/api/shares", {"sessionID": new_session_id()}, **headers)
        assert (refused.status, refused.json["error"]) == (401, "login_required")
        [entry] = functions.refusals(workspace)
        assert (entry["target_kind"], entry["after"]["rule"]) == ("key", "holder_removed")

    def test_an_owned_share_is_neither_found_nor_removed_by_its_session_id(self, functions: Functions) -> None:
        people, session_id = functions.plane.people, new_session_id()
        owner, other = ({"authorization": f"Bearer {people.member(people.workspace()).key}"} for _ in range(2))
        created = {"sessionID": session_id}
        share = functions.http("POST", "/api/shares", created, **owner).json
        functions.sync(share, part("1", "mine"))
        asked = [
            functions.http("POST", "/api/share", created).json,
            functions.http("POST", "/share_create", created).json,
            functions.http("POST", "/api/shares", created, **other).json,
        ]
        for answer in asked:
            assert answer["id"] != share["id"]
            assert answer["secret"] != share["secret"]
            content = {"key": f"session/message/{session_id}/msg_x", "content": message("x")["data"]}
            functions.http("POST", "/share_sync", {**created, **content, "secret": answer["secret"]})
            for path in (f"/api/share/{share['id']}", f"/api/shares/{share['id']}"):
                assert functions.http("DELETE", path, {"secret": answer["secret"]}, **other).status in (403, 404)
                refused = functions.http("POST", f"{path}/sync", {"secret": answer["secret"], "data": []}, **other)
                assert (refused.status, refused.json["error"]) == (403, "wrong_secret")
        assert functions.http("POST", "/api/shares", created, **owner).json == share
        texts = [item["data"].get("text") for item in functions.http("GET", f"/api/share/{share['id']}/data").json]
        assert texts == ["mine"]

    def test_after_a_claim_the_owner_unshares_with_a_login_and_nobody_by_the_old_secret(
        self, functions: Functions
    ) -> None:
        people, share = functions.plane.people, functions.create()
        owner, other = ({"authorization": f"Bearer {people.member(people.workspace()).key}"} for _ in range(2))
        secret = {"secret": share["secret"]}
        claim = functions.http("POST", f"/api/shares/{share['id']}/sync", {**secret, "data": [part("1")]}, **owner)
        assert claim.json == {"seq": 1}
        assert functions.http("DELETE", f"/api/share/{share['id']}", secret).status == 403
        assert functions.http("DELETE", f"/api/shares/{share['id']}", secret, **other).status == 404
        assert functions.http("DELETE", f"/api/shares/{share['id']}", secret, **owner).json == {}
        assert functions.http("GET", f"/api/share/{share['id']}/data").status == 410

    def test_each_import_gets_ids_of_its_own(self, functions: Functions) -> None:
        share = functions.create()
        functions.sync(share, session(new_session_id()), message("1"), part("1"))
        copies = [functions.http("GET", f"/api/share/{share['id']}/data").json for _ in range(2)]
        ids = [{item["data"]["id"] for item in copy} for copy in copies]
        assert not ids[0] & ids[1]
        for path in (f"/share/{share['id']}/items", f"/share/{share['id']}.json", f"/share_data?id={share['id']}"):
            assert functions.http("GET", path).json == functions.http("GET", path).json, (
                "documents of viewers are equal"
            )

    def test_a_sync_with_an_account_needs_a_credential(self, functions: Functions) -> None:
        people = functions.plane.people
        person = people.member(people.workspace())
        bearer = {"authorization": f"Bearer {person.key}"}
        assert functions.http("POST", "/api/shares", {"sessionID": new_session_id()}).status == 401
        share = functions.http("POST", "/api/shares", {"sessionID": new_session_id()}, **bearer).json
        body = {"secret": share["secret"], "data": [part("1")]}
        assert functions.http("POST", f"/api/shares/{share['id']}/sync", body).status == 401
        assert functions.http("POST", f"/api/shares/{share['id']}/sync", body, **bearer).json == {"seq": 1}
        assert functions.http("DELETE", f"/api/shares/{share['id']}", **bearer).status == 200

    def test_the_operator_proves_it_by_the_deployments_secret(self, functions: Functions) -> None:
        share = functions.create()
        path = f"/api/admin/shares/{share['id']}"
        assert functions.http("GET", path).status == 401
        assert functions.http("DELETE", path, authorization="Bearer wrong").status == 403
        assert functions.http("GET", path, authorization=f"Bearer {ADMIN}").json["state"] == "active"
        assert functions.http("DELETE", path, authorization=f"Bearer {ADMIN}").status == 200
        assert functions.http("GET", path, authorization=f"Bearer {ADMIN}").json["state"] == "gone"


MISTYPED = ("A" * 21, "A" * 23, "A" * 22, "\u0410" * 22, "x" * 64, "-", "0")
"""Ids that no share has: some are of the right form, some are not."""


class TestReaders:
    def test_a_mistyped_link_is_answered_like_an_unknown_one(self, functions: Functions) -> None:
        pages = [functions.http("GET", f"/share/{each}", accept="text/html") for each in MISTYPED]
        assert {(page.status, page.body) for page in pages} == {(404, pages[0].body)}
        for path in ("/share/{}.md", "/share/{}/items", "/share/{}/items/1", "/api/share/{}/data", "/share_data?id={}"):
            answers = [functions.http("GET", path.format(each)) for each in MISTYPED]
            assert {(answer.status, answer.json["error"]) for answer in answers} == {(404, "share_not_found")}, path

    @pytest.mark.parametrize("mode", [Mode.WORKSPACE, Mode.PASSWORD])
    def test_no_wrong_credential_and_no_spelling_of_an_address_shows_a_restricted_share(
        self, functions: Functions, mode: Mode
    ) -> None:
        restricted = Restricted(functions, mode)
        shown = functions.http("GET", f"/api/share/{restricted.id}/data", **restricted.of_reader())
        assert WORDS in shown.body
        for name, credential in restricted.wrong_credentials().items():
            for path in SPELLINGS:
                for method in ("GET", "HEAD", "OPTIONS", "POST"):
                    answer = functions.http(method, path.format(restricted.id), **credential)
                    told = f"{answer.body} {answer.headers}"
                    assert WORDS not in told, (name, method, path)
                    assert restricted.title not in told, (name, method, path)
                    leads_to_page = answer.status == 302 and answer.location == f"/share/{restricted.id}"
                    assert answer.status >= 400 or leads_to_page or method == "OPTIONS", (name, method, path)
            resumed = functions.say(
                functions.plane.gateway.connect(),
                action="resume",
                share=restricted.id,
                after=0,
                ticket=credential.get("x_share_ticket", ""),
            )
            assert resumed is not None
            assert (resumed["type"], resumed["status"]) == ("error", 401), name


WORDS, PASSWORD, COOKIE = "words of the session", "correct horse", "__Host-opencode_session"
SPELLINGS = (
    *("/share/{}", "/share/{}.json", "/share/{}.md", "/s/{}", "/share/{}/items", "/share/{}/items/1"),
    *("/api/share/{}/data", "/api/shares/{}/data", "/share_data?id={}", "/share/{}/ticket"),
    *("/share/{}/", "//share/{}", "/share//{}", "/share/./{}", "/share/x/../{}", "/share/{}%2Fitems", "/share/%2e/{}"),
    *("/share%2F{}", "/SHARE/{}", "/share/{}.JSON", "/share/{}.html", "/share/{}?format=json", "/share/{}.json?x=1"),
    *("/share_data?id=x&id={}", "/share/{}/items?after=0&ticket=x", "/share/{};x=1", "/api/v1/../share/{}/data"),
)


class Restricted:
    """A share that is not for everybody, and readers."""

    def __init__(self, functions: Functions, mode: Mode) -> None:
        self._functions, self._people = functions, functions.plane.people
        self._cloud = Environment(functions.plane)
        self.workspace = self._people.workspace()
        self._owner, self._reader = self._people.member(self.workspace), self._people.member(self.workspace)
        self.title = f"title {secrets.token_hex(4)}"
        self._share = self._made(mode)
        self.id = self._share.id

    def _made(self, mode: Mode) -> SharedSession:
        actor = self._cloud.actor(self._owner, self.workspace)
        share = self._cloud.share(actor=actor)
        share.sync(session(share.session_id, self.title), message("1"), part("1", WORDS))
        self._cloud.change(share.id, actor, mode=mode, password=PASSWORD if mode is Mode.PASSWORD else None)
        return share

    def of_reader(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._reader.key}"}

    def _ticket(self, share: SharedSession, by: Person) -> str:
        return self._cloud.reading.admit(share.id, Visitor(by.browser)).ticket()

    def wrong_credentials(self) -> dict[str, dict[str, str]]:
        """Return headers that prove no right to read the share, by what they hold."""
        others, stranger = self._people.workspace(), self._people.member(self._people.workspace())
        removed, signed_out = self._people.member(self.workspace), self._people.member(self.workspace)
        tickets = {"a removed member": self._ticket(self._share, removed)}
        tickets["a person who has signed out"] = self._ticket(self._share, signed_out)
        twin = self._made(Mode.PASSWORD)
        tickets["another share with the same password"] = self._cloud.gate.unlock(twin.id, PASSWORD, "192.0.2.1")
        tickets["a member, for another share"] = self._ticket(self._made(Mode.WORKSPACE), self._reader)
        tickets["a member, with another end"] = self._ticket(self._share, self._reader)[:-4] + "AAAA"
        self._people.remove(removed, self.workspace)
        self._people.sign_out(signed_out)
        cookies = {"a stranger": stranger, "a removed member": removed, "a person who has signed out": signed_out}
        bearers = {
            "the share's secret": self._share.secret,
            "a stranger's key": stranger.key,
            "a removed member's key": removed.key,
            "a made-up key": "oc_sk_" + secrets.token_urlsafe(32),
            "a forged token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhY2NfMSJ9.",
        }
        wrong = {"nothing": {}, "another workspace": {"x_org_id": others}}
        wrong |= {f"cookie of {who}": {"cookie": f"{COOKIE}={each.cookie}"} for who, each in cookies.items()}
        wrong |= {f"bearer: {name}": {"authorization": f"Bearer {bearer}"} for name, bearer in bearers.items()}
        wrong |= {f"ticket of {who}": {"x_share_ticket": ticket} for who, ticket in tickets.items()}
        return {name: {"x_org_id": self.workspace, **headers} for name, headers in wrong.items()}


class TestLogs:
    def test_failing_requests_leave_nothing_secret_in_the_logs(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = io.StringIO()
        monkeypatch.setattr(logger.registered_handler, "stream", lines)
        monkeypatch.setattr(log.metrics, "stream", lines)
        session_id, title, password = new_session_id(), f"title {secrets.token_hex(8)}", f"pass {secrets.token_hex(8)}"
        share = functions.http("POST", "/api/share", {"sessionID": session_id}).json
        bearer, cookie, ticket = (secrets.token_urlsafe(24) for _ in range(3))
        item = {"type": "part", "data": {"id": title, "text": f"{session_id} {share['secret']}"}}
        failing = [
            ("POST", "/api/share", {"sessionID": f"{session_id}!"}),
            ("POST", "/api/share", {"sessionID": [session_id, share["secret"]]}),
            ("POST", f"/api/share/{share['id']}/sync", {"secret": share["secret"], "data": [item]}),
            ("POST", f"/api/share/{share['id']}/sync", {"secret": share["secret"][:-1], "data": []}),
            ("POST", f"/api/share/{share['id']}/sync", {"secret": [share["secret"]], "data": title}),
            ("POST", f"/api/shares/{share['id']}/sync", {"secret": share["secret"], "data": [item]}),
            ("POST", "/share_sync", {"sessionID": session_id, "secret": share["secret"], "key": title, "content": 1}),
            ("POST", "/share_delete", {"sessionID": session_id, "secret": f"x{share['secret']}"}),
            ("POST", f"/share/{share['id']}x/unlock", {"password": password}),
            ("POST", f"/share/{share['id']}/unlock", {"password": [password]}),
            ("POST", f"/share/{share['id']}x/ticket", {"password": password}),
            ("DELETE", f"/api/share/{share['id']}", {"secret": f"{share['secret']}x"}),
            ("DELETE", f"/api/admin/shares/{share['id']}", {"secret": share["secret"]}),
            ("GET", f"/share/{share['id']}/items?after={title}", None),
            ("GET", f"/api/shares/{share['id']}/data", None),
        ]
        proofs = {"authorization": f"Bearer {bearer}", "cookie": f"{COOKIE}={cookie}"}
        proofs["x_share_ticket"] = ticket
        for method, path, body in failing:
            assert functions.http(method, path, body, **proofs).status in range(400, 500), path
        functions.sync(share, part("1", title))
        written = lines.getvalue()
        assert "CommitCount" in written, "what the functions write is read here"
        hidden = [session_id.removeprefix("ses_"), share["secret"][-43:], title, password, bearer, cookie, ticket]
        assert [secret for secret in hidden if secret in written] == []


class TestSockets:
    def test_a_viewer_resumes_and_follows_over_its_socket(self, functions: Functions) -> None:
        share, socket = functions.create(), functions.plane.gateway.connect()
        functions.sync(share, part("1"))
        assert functions.socket_event(socket, "CONNECT", protocol="live") == {"statusCode": 200}
        assert functions.say(socket, action="resume", share=share["id"], after=0) is None
        functions.sync(share, part("2"))
        assert [frame["type"] for frame in socket.frames] == ["items", "ready", "items"]
        assert functions.say(socket, action="ping", share=share["id"]) == {"type": "pong", "seq": 2}
        functions.socket_event(socket, "DISCONNECT")
        socket.leave()
        functions.sync(share, part("3"))
        assert len(socket.frames) == 3

    def test_a_publisher_is_acknowledged_over_its_socket(self, functions: Functions) -> None:
        share, socket = functions.create(), functions.plane.gateway.connect()
        sync = {"action": "sync", "share": share["id"], "items": [part("1")], "id": "p1"}
        assert functions.say(socket, **sync, secret=share["secret"]) == {"type": "ack", "id": "p1", "seq": 1}
        refused = functions.say(socket, **sync, secret="wrong")
        assert refused is not None
        assert (refused["type"], refused["code"], refused["status"], refused["id"]) == (
            "error",
            "wrong_secret",
            403,
            "p1",
        )

    def test_a_refused_sync_is_kept_for_the_admins_of_the_workspace(self, functions: Functions) -> None:
        people = functions.plane.people
        workspace = people.workspace()
        owner = people.member(workspace)
        headers = {"authorization": f"Bearer {owner.key}"}
        share = functions.http("POST", "/api/shares", {"sessionID": new_session_id()}, **headers).json
        people.remove(owner, workspace)
        socket = functions.plane.gateway.connect()
        sync = {"action": "sync", "share": share["id"], "secret": share["secret"], "items": [part("1")]}
        refused = functions.say(socket, **sync)
        assert refused is not None
        assert refused["status"] == 403
        [entry] = functions.refusals(workspace)
        assert (entry["target_id"], entry["after"]["rule"]) == (share["id"], refused["code"])

    def test_what_is_not_understood_is_answered_by_an_error_frame(self, functions: Functions) -> None:
        socket = functions.plane.gateway.connect()
        for body, code in (("{", "invalid_message"), ('{"action":"x"}', "unknown_action")):
            answer = functions.socket_event(socket, "MESSAGE", body)
            assert json.loads(answer["body"])["code"] == code
        unnamed = functions.say(socket, action="ping")
        assert unnamed is not None
        assert unnamed["code"] == "missing_share"

    def test_a_share_that_is_gone_is_answered_by_its_frame(self, functions: Functions) -> None:
        share, socket = functions.create(), functions.plane.gateway.connect()
        functions.http("DELETE", f"/api/share/{share['id']}", {"secret": share["secret"]})
        gone = {"type": "gone", "share": share["id"]}
        assert functions.say(socket, action="resume", share=share["id"], after=0) == gone
        assert functions.say(socket, action="ping", share=share["id"]) == gone

    def test_a_legacy_socket_is_refused_or_its_replay_is_asked_for(self, functions: Functions) -> None:
        share, socket = functions.create(), functions.plane.gateway.connect()
        functions.sync(share, part("1", "one"))
        assert functions.socket_event(socket, "CONNECT", protocol="poll")["statusCode"] == 400
        assert functions.socket_event(socket, "CONNECT", protocol="poll", id="A" * 22)["statusCode"] == 404
        assert functions.socket_event(socket, "CONNECT", protocol="poll", id=share["id"]) == {"statusCode": 200}
        delivery = functions.plane.delivered()[-1]
        functions.deliver.handler(delivery, SimpleNamespace(aws_request_id="request"))
        assert [frame["content"]["text"] for frame in socket.frames] == ["one"]

    def test_a_cdn_keeps_no_refusal_of_a_legacy_socket(self, functions: Functions) -> None:
        share, socket = functions.create(), functions.plane.gateway.connect()
        functions.http("DELETE", f"/api/share/{share['id']}", {"secret": share["secret"]})
        # CloudFront would keep a 410, for the sockets of all shares.
        assert functions.socket_event(socket, "CONNECT", protocol="poll", id=share["id"])["statusCode"] == 404


def test_the_purge_function_takes_what_the_share_function_has_put_into_the_queue(functions: Functions) -> None:
    share = functions.create()
    functions.sync(share, part("1"))
    functions.plane.received(functions.plane.purges)
    functions.http("DELETE", f"/api/share/{share['id']}", {"secret": share["secret"]})
    (request,) = functions.plane.received(functions.plane.purges)
    records = [{"messageId": "1", "receiptHandle": "r", "body": json.dumps(request)}]
    answer = functions.purge.handler({"Records": records}, SimpleNamespace(aws_request_id="request"))
    assert answer == {"batchItemFailures": []}
    assert functions.plane.rows(share["id"]) == []
