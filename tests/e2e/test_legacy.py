"""opencode 1.0.61 with the legacy protocol: one POST for each item, and viewers on a WebSocket."""

from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.waiting import eventually

from .model import bash, read, script, write
from .opencode import Client, JsonObject, Session
from .recorder import Recorder
from .shares import LegacyViewer, Share, check_gone, legacy_key, legacy_keys, refuses_viewers, with_id

pytestmark = pytest.mark.e2e

VIEWERS = 10


@dataclass(frozen=True)
class Shared:
    """A shared session of the legacy client, its share, and the content that the client sent."""

    session: Session
    share: Share
    recorder: Recorder

    def expected(self, pseudonym: str) -> dict[str, JsonObject]:
        """Return the contents that a viewer must hold, by legacy key; fails before all items were sent."""
        sent = self.recorder.sent(self.session.id)
        assert sent.keys() == set(legacy_keys(self.session, self.session.id))
        return with_id(sent, self.session.id, pseudonym)

    def check_copy(self) -> None:
        """Fail unless the share's data, in the current and in the legacy form, equals the sent content."""
        copied = self.share.items()
        pseudonym = copied.get("session", {}).get("id", "")
        expected = self.expected(pseudonym)
        assert {legacy_key(key, pseudonym): data for key, data in copied.items()} == expected
        folded = self.share.get(f"/share_data?id={self.share.id}").json()
        assert folded["info"] == copied["session"]
        for message_id, message in folded["messages"].items():
            assert message.keys() - copied[f"message/{message_id}"].keys() == {"parts"}
            for part in message["parts"]:
                assert part == copied.pop(f"part/{message_id}/{part['id']}")
        assert not [key for key in copied if key.startswith("part/")]

    def check_viewer(self, viewer: LegacyViewer) -> None:
        """Fail unless the viewer holds the sent content."""
        contents = viewer.settle()
        pseudonym = next((content["id"] for key, content in contents.items() if key.startswith("session/info/")), "")
        assert contents == self.expected(pseudonym)


@pytest.fixture
def shared(legacy_client: Client, recorder: Recorder) -> Shared:
    """Return a shared session with one turn and a complete copy."""
    session = legacy_client.start_session()
    session.prompt(script(bash(f"echo {session.id}"), say=f"The session is {session.id}."))
    shared = Shared(session, Share.at(session.share()), recorder)
    eventually(shared.check_copy)
    return shared


@pytest.mark.slow
def test_turns_after_the_share_arrive_item_by_item(shared: Shared) -> None:
    for turn in range(5):
        file = f"file-{turn}.txt"
        shared.session.prompt(script(write(file, "one\n"), read(file), bash(f"seq {turn} 300"), say=f"Turn {turn}."))

    eventually(shared.check_copy)


def test_a_viewer_gets_everything_so_far_and_then_every_change(shared: Shared) -> None:
    with shared.share.watch() as viewer:
        eventually(lambda: shared.check_viewer(viewer))
        shared.session.prompt(script(bash("echo after"), say="One word after the other.", pause=0.05))
        eventually(lambda: shared.check_viewer(viewer))


@pytest.mark.slow
def test_every_one_of_many_viewers_gets_everything_and_the_next_change(shared: Shared) -> None:
    """A replay begins while the socket is still opening. No viewer may be skipped for that."""
    with ExitStack() as sockets:
        viewers = [sockets.enter_context(shared.share.watch()) for _ in range(VIEWERS)]
        shared.session.prompt("To all of you.")
        for viewer in viewers:
            eventually(lambda viewer=viewer: shared.check_viewer(viewer))


def test_no_frame_contains_the_session_id(shared: Shared) -> None:
    pseudonym = shared.share.items()["session"]["id"]
    with shared.share.watch() as viewer:
        contents = viewer.wait_for(*legacy_keys(shared.session, pseudonym))

    assert shared.session.id not in f"{contents}"


def test_unshare_removes_the_share_everywhere(shared: Shared) -> None:
    with shared.share.watch() as viewer:
        shared.session.unshare()
        eventually(lambda: check_gone(shared.share))
        assert viewer.is_closed()

    assert "share" not in shared.session.info()
    assert refuses_viewers(shared.share)


@pytest.mark.slow
def test_deleting_the_session_removes_the_share(shared: Shared) -> None:
    shared.session.delete()

    eventually(lambda: check_gone(shared.share))


@pytest.mark.slow
def test_a_session_shared_again_after_unshare_is_complete_and_lives_on(shared: Shared, recorder: Recorder) -> None:
    shared.session.unshare()
    shared.session.prompt("Unheard.")

    again = Shared(shared.session, Share.at(shared.session.share()), recorder)
    eventually(again.check_copy)
    again.session.prompt("Heard again.")

    eventually(again.check_copy)
