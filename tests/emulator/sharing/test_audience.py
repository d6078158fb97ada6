"""The readers of a share and the receivers of pushes, by mode, present policy and credentials (invariant I9)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import rate_counters
from opencode_cloud.kit.errors import Forbidden, Gone, NotFound, TooManyRequests, Unauthorized
from opencode_cloud.sharing.models import Mode
from opencode_cloud.sharing.protocol import tickets
from opencode_cloud.sharing.service import access, fan_out
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.store import ShareStore
from tests.emulator.sharing.gateway import Socket
from tests.emulator.sharing.plane import ADDRESS, Environment, People, Person, SharedSession
from tests.integration.publisher import part

PASSWORD = "correct horse"


@dataclass
class Scene:
    """A workspace with an owner and a reader, and a share."""

    cloud: Environment
    workspace: str
    owner: Person
    reader: Person
    share: SharedSession

    @property
    def people(self) -> People:
        return self.cloud.plane.people

    def narrow(self, mode: Mode) -> None:
        password = PASSWORD if mode is Mode.PASSWORD else None
        self.cloud.change(self.share.id, self.cloud.actor(self.owner, self.workspace), mode=mode, password=password)

    def admit(self, visitor: Visitor) -> str:
        """Return the ticket of a visitor with access."""
        return self.cloud.reading.admit(ShareId(self.share.id), visitor).ticket()

    def ticket(self, person: Person) -> str:
        return self.admit(Visitor(person.browser))

    def unlock(self, password: str = PASSWORD, address: str = ADDRESS) -> str:
        return self.cloud.gate.unlock(ShareId(self.share.id), password, address)

    def follow(self, ticket: str = "") -> Socket:
        return self.cloud.follow(self.share.id, ticket=ticket)


@pytest.fixture
def scene(cloud: Environment) -> Scene:
    people = cloud.plane.people
    workspace = people.workspace()
    owner, reader = people.member(workspace), people.member(workspace)
    return Scene(cloud, workspace, owner, reader, cloud.share(actor=cloud.actor(owner, workspace)))


class TestReaders:
    def test_anyone_with_the_link_reads_a_share_of_mode_link(self, scene: Scene) -> None:
        assert scene.admit(Visitor()) == "", "and needs no ticket"

    def test_members_alone_read_a_share_of_mode_workspace(self, scene: Scene) -> None:
        scene.narrow(Mode.WORKSPACE)
        stranger = scene.people.member(scene.people.workspace())
        assert scene.ticket(scene.reader)
        assert scene.admit(Visitor(AccessRequest(bearer=scene.reader.key)))
        with pytest.raises(Unauthorized) as refused:
            scene.admit(Visitor())
        assert refused.value.code == "login_required"
        with pytest.raises(NotFound) as hidden:
            scene.ticket(stranger)
        assert hidden.value.code == "share_not_found", "as for a share that is not there"
        with pytest.raises(Unauthorized):
            scene.admit(Visitor(AccessRequest(cookie="made up")))

    def test_members_and_those_with_the_password_read_a_share_of_mode_password(self, scene: Scene) -> None:
        scene.narrow(Mode.PASSWORD)
        assert scene.ticket(scene.reader)
        assert scene.admit(Visitor(ticket=scene.unlock()))
        for visitor in (Visitor(), Visitor(scene.people.member(scene.people.workspace()).browser)):
            with pytest.raises(Unauthorized) as refused:
                scene.admit(visitor)
            assert refused.value.code == "password_required"

    def test_a_ticket_stands_for_the_credential_that_it_was_given_for(self, scene: Scene) -> None:
        scene.narrow(Mode.WORKSPACE)
        ticket = scene.ticket(scene.reader)
        assert scene.admit(Visitor(ticket=ticket))
        scene.people.sign_out(scene.reader)
        with pytest.raises(Unauthorized):
            scene.admit(Visitor(ticket=ticket))

    def test_a_ticket_for_the_password_opens_no_share_that_is_for_members(self, scene: Scene) -> None:
        scene.narrow(Mode.PASSWORD)
        ticket = scene.unlock()
        scene.people.policy(scene.workspace, share_mode="workspace")
        with pytest.raises(Unauthorized):
            scene.admit(Visitor(ticket=ticket))

    def test_a_ticket_opens_the_share_that_it_was_written_for_alone(self, scene: Scene) -> None:
        other = scene.cloud.share(actor=scene.cloud.actor(scene.owner, scene.workspace))
        scene.narrow(Mode.WORKSPACE)
        ticket = scene.ticket(scene.reader)
        scene.cloud.change(other.id, scene.cloud.actor(scene.owner, scene.workspace), mode=Mode.WORKSPACE)
        with pytest.raises(Unauthorized):
            scene.cloud.reading.admit(ShareId(other.id), Visitor(ticket=ticket))

    def test_a_change_of_who_may_read_makes_every_ticket_void(self, scene: Scene) -> None:
        scene.narrow(Mode.WORKSPACE)
        ticket = scene.ticket(scene.reader)
        scene.narrow(Mode.PASSWORD)
        with pytest.raises(Unauthorized):
            scene.admit(Visitor(ticket=ticket))

    def test_a_change_of_the_password_makes_every_ticket_void(self, scene: Scene) -> None:
        scene.narrow(Mode.PASSWORD)
        tickets_before = scene.unlock(), scene.ticket(scene.reader)
        owner = scene.cloud.actor(scene.owner, scene.workspace)
        scene.cloud.change(scene.share.id, owner, password="another password")
        for ticket in tickets_before:
            with pytest.raises(Unauthorized):
                scene.admit(Visitor(ticket=ticket))
        with pytest.raises(Forbidden):
            scene.unlock(PASSWORD)
        assert scene.admit(Visitor(ticket=scene.unlock("another password")))

    @pytest.mark.parametrize("mode", Mode)
    def test_where_the_policy_allows_no_shares_nobody_reads(self, scene: Scene, mode: Mode) -> None:
        if mode is not Mode.LINK:
            scene.narrow(mode)
        scene.people.policy(scene.workspace, share_mode="off")
        for person in (scene.reader, scene.owner):
            with pytest.raises(NotFound):
                scene.ticket(person)

    def test_a_share_that_is_gone_says_so_before_it_asks_who_wants_to_read(self, scene: Scene) -> None:
        scene.narrow(Mode.WORKSPACE)
        scene.cloud.deletion.unshare(ShareId(scene.share.id), scene.share.secret)
        with pytest.raises(Gone):
            scene.admit(Visitor())


class TestPasswords:
    @pytest.fixture(autouse=True)
    def in_one_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rate_counters, "now_seconds", lambda: 1_800_000_010)

    def test_the_wrong_one_is_refused(self, scene: Scene) -> None:
        scene.narrow(Mode.PASSWORD)
        with pytest.raises(Forbidden):
            scene.unlock("wrong")

    def test_one_address_tries_so_many_a_minute_and_then_not_even_the_right_one(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene.narrow(Mode.PASSWORD)
        monkeypatch.setattr(access, "ATTEMPTS_OF_NETWORK", 2)
        for _ in range(2):
            with pytest.raises(Forbidden):
                scene.unlock("wrong")
        with pytest.raises(TooManyRequests) as refused:
            scene.unlock()
        assert refused.value.retry_after == 50
        assert scene.unlock(address="192.0.2.2")

    def test_all_addresses_together_try_so_many(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        scene.narrow(Mode.PASSWORD)
        monkeypatch.setattr(access, "ATTEMPTS_OF_ALL", 3)
        for n in range(3):
            scene.unlock(address=f"192.0.2.{n}")
        with pytest.raises(TooManyRequests):
            scene.unlock(address="192.0.2.99")

    def test_there_is_nothing_to_unlock_where_no_password_is_asked_for(self, scene: Scene) -> None:
        assert scene.unlock("anything") == ""
        scene.narrow(Mode.WORKSPACE)
        with pytest.raises(NotFound):
            scene.unlock("anything")


class TestPublishers:
    def test_the_secret_of_an_owner_who_has_left_publishes_nothing(self, scene: Scene) -> None:
        scene.people.remove(scene.owner, scene.workspace)
        with pytest.raises(Forbidden) as refused:
            scene.share.sync(part("1"))
        assert refused.value.code == "owner_has_left"
        assert scene.cloud.plane.rows(scene.share.id, "L#") == []

    def test_nothing_is_published_where_the_policy_allows_no_shares(self, scene: Scene) -> None:
        scene.people.policy(scene.workspace, share_mode="off")
        with pytest.raises(Forbidden) as refused:
            scene.share.sync(part("1"))
        assert refused.value.code == "sharing_off"
        owner = scene.cloud.actor(scene.owner, scene.workspace)
        with pytest.raises(Forbidden):
            scene.cloud.share(scene.share.session_id, owner)


class TestPushes:
    """A commit is pushed only to viewers with access. The sockets of the others are closed."""

    def pushed(self, scene: Scene) -> None:
        scene.share.sync(part("1", "words"))

    def test_a_narrowed_share_is_pushed_to_members_alone(self, scene: Scene) -> None:
        scene.narrow(Mode.WORKSPACE)
        stranger = scene.people.member(scene.people.workspace())
        allowed = scene.follow(scene.ticket(scene.reader))
        key = scene.cloud.row(scene.share.id).ownership
        assert key is not None
        refused = [
            scene.follow(),
            scene.follow("made up"),
            scene.follow(tickets.write(key.ticket_key, ShareId(scene.share.id))),  # as for a password
            scene.follow(tickets.write(key.ticket_key, ShareId("another share"), "session#any")),
            scene.follow(tickets.write(tickets.new_key(), ShareId(scene.share.id), "session#any")),
            scene.follow(tickets.write(key.ticket_key, ShareId(scene.share.id), f"session#{stranger.cookie}")),
        ]
        self.pushed(scene)
        assert "words" in str(allowed.sent)
        assert [(socket.sent, socket.open) for socket in refused] == [([], False)] * len(refused)
        assert [viewer.connection_id for viewer in scene.cloud.store.viewers(ShareId(scene.share.id))] == [allowed.id]

    @pytest.mark.parametrize("change", ["removal", "role", "sign-out"])
    def test_one_who_may_not_any_more_gets_nothing_more(self, scene: Scene, change: str) -> None:
        scene.narrow(Mode.WORKSPACE)
        socket = scene.follow(scene.ticket(scene.reader))
        match change:
            case "removal":
                scene.people.remove(scene.reader, scene.workspace)
            case "role":
                scene.people.join(scene.reader, scene.workspace, "nobody")
            case _:
                scene.people.sign_out(scene.reader)
        self.pushed(scene)
        assert (socket.sent, socket.open) == ([], False)

    def test_a_policy_that_was_made_stricter_holds_for_those_who_watch(self, scene: Scene) -> None:
        anyone = scene.follow()
        scene.people.policy(scene.workspace, share_mode="workspace")
        member = scene.follow(scene.ticket(scene.reader))
        self.pushed(scene)
        assert (anyone.sent, anyone.open) == ([], False)
        assert "words" in str(member.sent)

    def test_viewers_who_join_during_the_commit_are_checked_too(self, scene: Scene) -> None:
        scene.narrow(Mode.WORKSPACE)
        joined: list[Socket] = []
        scene.cloud.steering.before(ShareStore.append, lambda: joined.append(scene.follow()))
        self.pushed(scene)
        assert (joined[0].sent, joined[0].open) == ([], False)

    def test_a_share_with_a_password_is_pushed_to_those_who_knew_it_and_to_members(self, scene: Scene) -> None:
        scene.narrow(Mode.PASSWORD)
        unlocked, member, anyone = (
            scene.follow(scene.unlock()),
            scene.follow(scene.ticket(scene.reader)),
            scene.follow(),
        )
        self.pushed(scene)
        assert "words" in str(unlocked.sent)
        assert "words" in str(member.sent)
        assert anyone.sent == []

    def test_a_ticket_whose_time_is_over_still_says_who_watches(self, scene: Scene) -> None:
        scene.narrow(Mode.WORKSPACE)
        ownership = scene.cloud.row(scene.share.id).ownership
        assert ownership is not None
        proof = tickets.read(ownership.ticket_key, ShareId(scene.share.id), scene.ticket(scene.reader))
        assert proof is not None
        old = tickets.write(ownership.ticket_key, ShareId(scene.share.id), proof.proof, seconds=-10)
        socket = scene.follow(old)
        self.pushed(scene)
        assert "words" in str(socket.sent)
        with pytest.raises(Unauthorized):
            scene.admit(Visitor(ticket=old))

    def test_a_delivery_is_pushed_to_those_who_may_see_it_when_it_is_carried_out(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fan_out, "INLINE_VIEWERS", 0)
        anyone = scene.follow()
        self.pushed(scene)
        (delivery,) = scene.cloud.plane.delivered()
        scene.people.policy(scene.workspace, share_mode="workspace")
        Environment(scene.cloud.plane).deliveries.handle(delivery)
        assert (anyone.sent, anyone.open) == ([], False)

    def test_a_delivery_is_pushed_to_nobody_where_sharing_was_turned_off(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fan_out, "INLINE_VIEWERS", 0)
        scene.narrow(Mode.WORKSPACE)
        member = scene.follow(scene.ticket(scene.reader))
        self.pushed(scene)
        (delivery,) = scene.cloud.plane.delivered()
        scene.people.policy(scene.workspace, share_mode="off")
        Environment(scene.cloud.plane).deliveries.handle(delivery)
        assert (member.sent, member.open) == ([], False)
