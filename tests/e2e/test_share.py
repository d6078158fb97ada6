"""opencode 1.18.33, as a server: a shared session from `share` to `unshare`, as readers see it."""

import re
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.stack import LocalStack
from tests.waiting import PATIENCE, eventually

from .model import MODEL, bash, read, script, write
from .opencode import Client
from .shares import GONE, Share, check_gone, legacy_keys, local_items, refuses_viewers, wait_for_complete_copy

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("client")]

TURNS = 20


def test_share_gives_a_complete_copy_of_the_session(client: Client) -> None:
    session = client.start_session()
    session.prompt(script(bash("echo hello"), say="I said hello."))

    share = Share.at(session.share())

    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", share.id)
    copied = wait_for_complete_copy(session, share)
    assert [model["id"] for model in copied["model"]] == [MODEL]
    assert copied["session_diff"] == []


@pytest.mark.slow
def test_turns_after_the_share_arrive_part_by_part(client: Client) -> None:
    session = client.start_session()
    share = Share.at(session.share())

    for turn in range(TURNS):
        file = f"file-{turn}.txt"
        steps = [bash(f"seq {turn} {turn + 300}"), write(file, f"turn {turn}\n" * 50), read(file)]
        session.prompt(script(*steps[: turn % 4], say=f"Turn {turn} is done: **bold**, `code`, ünïcödé ✓ 漢字 🚀."))

    copied = wait_for_complete_copy(session, share)
    parts = [data for key, data in copied.items() if key.startswith("part/")]
    tools = [part["tool"] for part in parts if part["type"] == "tool"]
    assert Counter(tools) == {"bash": 15, "write": 10, "read": 5}


@pytest.mark.slow
def test_half_an_emoji_costs_no_update(client: Client) -> None:
    """JavaScript cuts text between UTF-16 units and sends half a pair, which UTF-8 cannot encode."""
    session = client.start_session()
    share = Share.at(session.share())

    session.prompt(script(bash("echo whole"), say="Half an emoji: \ud83d and on it goes."))

    def arrived() -> None:
        copied = share.items()
        assert copied.keys() - {"session_diff", "model"} == local_items(session).keys()
        texts = [data["text"] for key, data in copied.items() if key.startswith("part/") and data["type"] == "text"]
        assert any(text.startswith("Half an emoji: ") and text.endswith(" and on it goes.") for text in texts)

    eventually(arrived)


def test_nothing_a_reader_gets_contains_the_session_id(client: Client) -> None:
    session = client.start_session()
    session.prompt(script(bash(f"echo {session.id}"), say=f"The session is {session.id}."))
    share = Share.at(session.share())
    copied = wait_for_complete_copy(session, share)

    pseudonym = copied["session"]["id"]
    assert re.fullmatch(r"ses_[0-9a-f]{12}[0-9A-Za-z]{14}", pseudonym)
    assert session.id[-8:] not in share.id

    denied = [share.sync("wrong", []), share.remove("wrong")]
    assert all(response.status_code in (401, 403) for response in denied)
    read_by_anyone = [share.get(path) for path in share.addresses()]
    assert all(response.status_code == 200 for response in read_by_anyone)
    texts = [f"{response.headers}\n{response.text}" for response in [*denied, *read_by_anyone]]
    with share.watch() as viewer:
        texts.append(f"{viewer.wait_for(*legacy_keys(session, pseudonym))}")
    texts += share.live_frames()
    secret = session.secret()
    assert secret is not None
    for text in texts:
        assert session.id not in text
        assert secret not in text


def test_creating_twice_at_once_gives_the_same_share(stack: LocalStack) -> None:
    session_id = f"ses_{uuid.uuid4().hex[:26]}"

    def create(_: int) -> dict[str, str]:
        return httpx.post(f"{stack.url}/api/share", json={"sessionID": session_id}, timeout=PATIENCE).json()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(create, range(4)))

    assert all(answer == answers[0] for answer in answers)
    share = Share.at(answers[0]["url"])
    item = {"type": "session", "data": {"id": session_id, "title": "twice"}}
    assert share.sync(answers[0]["secret"], [item]).status_code == 200
    assert [item["data"]["title"] for item in share.data()] == ["twice"]
    assert share.remove(answers[0]["secret"]).is_success


def test_sharing_again_keeps_the_link_and_a_working_secret(client: Client) -> None:
    session = client.start_session()
    session.prompt("Hello.")
    share = Share.at(session.share())
    wait_for_complete_copy(session, share)

    assert session.share() == share.url

    session.prompt("Hello again.")
    wait_for_complete_copy(session, share)
    secret = session.secret()
    assert secret is not None
    assert share.sync(secret, []).is_success


def test_unshare_removes_the_share_everywhere_and_the_clients_own_record(client: Client) -> None:
    session = client.start_session()
    session.prompt("Hello.")
    share = Share.at(session.share())
    wait_for_complete_copy(session, share)
    secret = session.secret()
    assert secret is not None

    with share.watch() as viewer:
        session.unshare()
        eventually(lambda: check_gone(share))
        assert viewer.is_closed()

    assert session.secret() is None
    assert refuses_viewers(share)
    assert share.sync(secret, [{"type": "session", "data": {}}]).status_code in GONE
    session.prompt("This is not shared.")
    check_gone(share)


@pytest.mark.slow
def test_deleting_the_session_removes_the_share(client: Client) -> None:
    session = client.start_session()
    session.prompt("Hello.")
    share = Share.at(session.share())
    wait_for_complete_copy(session, share)

    session.delete()

    eventually(lambda: check_gone(share))


def test_unsharing_a_share_that_is_already_gone_succeeds(client: Client) -> None:
    session = client.start_session()
    share = Share.at(session.share())
    secret = session.secret()
    assert secret is not None
    assert share.remove(secret).is_success
    eventually(lambda: check_gone(share))

    session.unshare()

    assert session.secret() is None


@pytest.mark.slow
def test_a_session_shared_again_after_unshare_is_complete_and_lives_on(client: Client) -> None:
    session = client.start_session()
    session.prompt("First.")
    first = Share.at(session.share())
    wait_for_complete_copy(session, first)
    session.unshare()
    session.prompt("Second, unheard.")

    second = Share.at(session.share())
    wait_for_complete_copy(session, second)
    session.prompt(script(bash("echo third"), say="Third."))

    wait_for_complete_copy(session, second)
    if first.id != second.id:
        check_gone(first)


@pytest.mark.slow
def test_messages_the_client_took_back_stay_and_the_session_says_so(client: Client) -> None:
    """The client never sends removals. A viewer detects them only by `session.revert`."""
    session = client.start_session()
    session.prompt("Keep this.")
    session.prompt("Take this back.")
    share = Share.at(session.share())
    before = wait_for_complete_copy(session, share)
    taken_back = session.messages()[2]["info"]["id"]

    session.revert(taken_back)

    def reverted() -> None:
        after = share.items()
        assert after["session"].get("revert", {}).get("messageID") == taken_back
        assert before.keys() <= after.keys()

    eventually(reverted)
