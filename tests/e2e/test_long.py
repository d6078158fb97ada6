"""Slow tests: large sessions, and the ways in which opencode 1.18.33 loses updates and recovers."""

import pytest

from .conftest import MakeHome
from .images import image_part
from .model import bash, script
from .opencode import Client, Session
from .shares import Share, check_complete_copy, wait_for_complete_copy

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("client")]


def test_five_megabytes_go_in_one_request(client: Client) -> None:
    """The client sends a whole session in one request when it is shared, regardless of its size."""
    session = client.start_session()
    for number in range(4):
        session.prompt(f"Image {number}", image_part(1_000_000, f"{number}.png"))

    share = Share.at(session.share())

    copied = wait_for_complete_copy(session, share)
    files = [data for key, data in copied.items() if key.startswith("part/") and data["type"] == "file"]
    assert sum(len(file["url"]) for file in files) > 5_000_000


@pytest.mark.timeout(900)  # three minutes, where nothing else runs
def test_a_hundred_turns(client: Client) -> None:
    session = client.start_session()
    share = Share.at(session.share())

    for turn in range(100):
        session.prompt(script(bash(f"seq {turn} 2000"), say=f"Turn {turn}."))

    wait_for_complete_copy(session, share)


def test_sharing_again_after_a_restart_repairs_what_the_end_of_the_process_lost(make_home: MakeHome) -> None:
    home = make_home()
    with home.serve() as client:
        session = client.start_session()
        share = Share.at(session.share())
        session.prompt("This is lost: the process ends before its window does.")

    with home.serve() as client:
        session = Session(client, session.id)
        with pytest.raises(AssertionError):
            check_complete_copy(session, share)
        assert session.share() == share.url
        wait_for_complete_copy(session, share)


def test_run_attached_to_a_server_shares_everything(make_home: MakeHome) -> None:
    home = make_home()
    with home.serve() as client:
        home.run("run", "--attach", f"{client.http.base_url}", "--share", "Hello through the server.")

        ((session_id, record),) = home.known_shares().items()
        wait_for_complete_copy(Session(client, session_id), Share.at(record["url"]))


def test_a_fork_is_not_shared(client: Client) -> None:
    session = client.start_session()
    session.prompt("The original.")
    share = Share.at(session.share())
    wait_for_complete_copy(session, share)

    fork = Session(client, client.call("POST", f"/session/{session.id}/fork", {})["id"])
    fork.prompt("Only in the fork.")

    assert fork.secret() is None
    wait_for_complete_copy(session, share)
