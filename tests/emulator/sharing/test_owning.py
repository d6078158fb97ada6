"""Owning: claims of shares, and the changes, lists and revocations by owners and admins. All of them are audited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from opencode_cloud.contracts.access import KeyRefused, KnownKey
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.ids import KeyId, ShareId, WorkspaceId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import BadRequest, Forbidden, Gone, NotFound, Unavailable
from opencode_cloud.sharing.models import Mode, Ownership
from opencode_cloud.sharing.service.owning import REFUSALS_A_MINUTE
from opencode_cloud.sharing.store import ShareStore
from tests.emulator.sharing.plane import Environment, People, SharedSession
from tests.integration.publisher import new_session_id, part, session


@dataclass
class Team:
    """A workspace with members, and an execution environment."""

    cloud: Environment
    workspace: str
    ada: Actor
    bob: Actor
    admin: Actor

    @property
    def people(self) -> People:
        return self.cloud.plane.people

    def ownership(self, share: SharedSession) -> Ownership:
        ownership = self.cloud.row(share.id).ownership
        assert ownership is not None
        return ownership

    def listed(self, actor: Actor, *, own: bool = False) -> list[str]:
        return [listed.share.id for listed in self.cloud.owning.page(actor, own=own, limit=50, after=None)[0]]

    def recorded(self) -> list[dict[str, Any]]:
        return self.cloud.plane.received(self.cloud.plane.audit)


@pytest.fixture
def team(cloud: Environment) -> Team:
    people = cloud.plane.people
    workspace = people.workspace()
    ada, bob, admin = (cloud.actor(people.member(workspace, role), workspace) for role in ("member", "member", "admin"))
    return Team(cloud, workspace, ada, bob, admin)


class TestBeginning:
    def test_a_share_of_somebody_signed_in_is_theirs(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        ownership = team.ownership(share)
        assert (ownership.owner, ownership.workspace_id, ownership.mode) == (
            team.ada.account_id,
            team.workspace,
            Mode.LINK,
        )
        (entry,) = team.recorded()
        assert (entry["action"], entry["target_id"]) == ("share.created", share.id)

    def test_each_who_shares_a_session_has_a_share_of_their_own(self, team: Team) -> None:
        elsewhere = team.people.workspace()
        stranger = team.cloud.actor(team.people.member(elsewhere), elsewhere)
        session_id = new_session_id()
        actors = (None, team.ada, team.bob, stranger)
        shares = [team.cloud.share(session_id, actor) for actor in actors]
        assert len({share.id for share in shares}) == len({share.secret for share in shares}) == 4
        assert [team.cloud.share(session_id, actor).credentials for actor in actors] == [
            share.credentials for share in shares
        ]
        for share in shares:
            share.sync(part("1", share.id))
            assert team.cloud.texts(share.id) == [share.id]
            for other in shares:
                if other is not share:
                    with pytest.raises(Forbidden):
                        share.sync(part("2"), secret=other.secret)
                    with pytest.raises(Forbidden):
                        team.cloud.deletion.unshare(share.id, other.secret)

    def test_a_person_has_a_share_of_a_session_in_each_workspace(self, team: Team) -> None:
        person = team.people.member(team.workspace)
        elsewhere = team.people.workspace(share_mode="workspace")
        team.people.join(person, elsewhere, "member")
        here = team.cloud.share(actor=team.cloud.actor(person, team.workspace))
        there = team.cloud.share(here.session_id, team.cloud.actor(person, elsewhere))
        assert (team.ownership(here).mode, team.ownership(there).mode) == (Mode.LINK, Mode.WORKSPACE)

    def test_a_new_share_is_as_wide_and_lives_as_long_as_the_policy_allows(self, team: Team) -> None:
        team.people.policy(team.workspace, share_mode="workspace", share_lifetime_seconds=60)
        share = team.cloud.share(actor=team.ada)
        assert team.ownership(share).mode is Mode.WORKSPACE
        assert 0 < (team.cloud.row(share.id).expires_at or 0) - now_seconds() <= 60

    def test_where_the_policy_allows_no_shares_none_is_made(self, team: Team) -> None:
        team.people.policy(team.workspace, share_mode="off")
        with pytest.raises(Forbidden) as refused:
            team.cloud.share(actor=team.ada)
        assert refused.value.code == "sharing_off"

    def test_a_refusal_is_kept_for_the_workspaces_admins_but_not_each_repetition(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        team.recorded()
        refusal = Forbidden("sharing_off", "Sharing is off.")
        team.cloud.owning.record_refused(refusal, None, lambda: team.ada)
        for _ in range(REFUSALS_A_MINUTE + 2):
            team.cloud.owning.record_refused(refusal, ShareId(share.id), address="192.0.2.1")
        team.cloud.owning.record_refused(refusal, ShareId("unknown"))
        entries = team.recorded()
        assert {(entry["action"], entry["workspace_id"]) for entry in entries} == {("share.refused", team.workspace)}
        assert [entry["actor_id"] for entry in entries] == [team.ada.id, *[""] * REFUSALS_A_MINUTE]
        assert entries[1]["target_id"] == share.id
        assert entries[1]["after"] == {"rule": "sharing_off", "status": 403, "reason": "Sharing is off."}

    def test_the_refusal_of_a_key_is_kept_with_its_rule(self, team: Team) -> None:
        key = KnownKey(id=KeyId("key_1"), workspace_id=WorkspaceId(team.workspace), name="laptop")
        refused = KeyRefused(team.ada, key, "key_expired", "The key has expired.")
        for _ in range(REFUSALS_A_MINUTE + 2):
            team.cloud.owning.record_refused_key(refused)
        entries = team.recorded()
        assert {(entry["action"], entry["target_kind"], entry["target_id"]) for entry in entries} == {
            ("share.refused", "key", "key_1")
        }
        assert len(entries) == REFUSALS_A_MINUTE
        assert entries[0]["after"] == {"rule": "key_expired", "status": 401, "reason": "The key has expired."}


class TestClaiming:
    def test_create_with_a_login_leaves_an_anonymous_share_alone(self, team: Team) -> None:
        """The session id proves nothing: neither who asks first nor who has an account gains anything by it."""
        claimed = team.cloud.share()
        own = team.cloud.share(claimed.session_id, team.ada)
        assert own.id != claimed.id
        assert team.cloud.row(claimed.id).ownership is None
        own.sync(part("1", "merger"))
        assert team.cloud.texts(claimed.id) == []

    def test_a_sync_by_somebody_signed_in_claims_it(self, team: Team) -> None:
        share = team.cloud.share()
        share.sync(part("1"), actor=team.ada)
        assert team.ownership(share).owner == team.ada.account_id
        (entry,) = team.recorded()
        assert (entry["action"], entry["before"]) == ("share.claimed", {"owner": None})

    def test_after_a_claim_the_session_id_leads_its_owner_there_and_nobody_else(self, team: Team) -> None:
        share = team.cloud.share()
        share.sync(part("1"), actor=team.ada)
        assert team.cloud.share(share.session_id, team.ada).id == share.id
        for other in (None, team.bob):
            assert team.cloud.share(share.session_id, other).id != share.id

    def test_after_a_claim_the_old_secret_counts_for_the_owner_alone(self, team: Team) -> None:
        share = team.cloud.share()
        share.sync(part("1"), actor=team.ada)
        assert share.sync(part("2"), actor=team.ada) == 2, "the client kept the secret and learns no other"
        for other in (None, team.bob):
            with pytest.raises(Forbidden) as refused:
                share.sync(part("3"), actor=other)
            assert refused.value.code == "wrong_secret"
        with pytest.raises(Forbidden):
            team.cloud.deletion.unshare(share.id, share.secret)
        assert team.cloud.owning.revoke(team.ada, [share.id], team.cloud.deletion) == ([share.id], [])

    def test_when_the_owner_shares_again_the_secret_is_made_anew(self, team: Team) -> None:
        share = team.cloud.share()
        share.sync(part("1"), actor=team.ada)
        again = team.cloud.share(share.session_id, team.ada)
        assert again.id == share.id
        assert team.cloud.share(share.session_id, team.ada).credentials == again.credentials
        for actor in (None, team.ada):
            with pytest.raises(Forbidden):
                share.sync(part("2"), actor=actor)
        assert again.sync(part("3", again.session_id)) == 2, "without a login too, as after a logout"
        assert team.cloud.texts(share.id)[-1] == team.cloud.row(share.id).pseudonym

    def test_two_who_share_again_at_once_get_the_same_new_secret(self, team: Team) -> None:
        share, elsewhere = team.cloud.share(), Environment(team.cloud.plane)
        share.sync(part("1"), actor=team.ada)
        others: list[SharedSession] = []
        team.cloud.steering.before(
            ShareStore.renew_secret, lambda: others.append(elsewhere.share(share.session_id, team.ada))
        )
        assert team.cloud.share(share.session_id, team.ada).credentials == others[0].credentials

    def test_nobody_claims_a_share_without_its_secret(self, team: Team) -> None:
        share = team.cloud.share()
        for secret in ("wrong", team.cloud.share(share.session_id, team.ada).secret):
            with pytest.raises(Forbidden):
                share.sync(part("1"), secret=secret, actor=team.ada)
        assert team.cloud.row(share.id).ownership is None

    def test_of_two_at_once_the_first_gets_it_and_the_other_is_refused(self, team: Team) -> None:
        share = team.cloud.share()
        other = share.from_elsewhere()
        team.cloud.steering.before(ShareStore.claim, lambda: other.sync(part("1", "Bob's"), actor=team.bob))
        with pytest.raises(Forbidden) as refused:
            share.sync(part("1", "Ada's"), actor=team.ada)
        assert refused.value.code == "wrong_secret"
        assert team.ownership(share).owner == team.bob.account_id
        assert team.cloud.texts(share.id) == ["Bob's"]
        assert [entry["action"] for entry in team.recorded()] == ["share.claimed"]

    def test_a_share_that_goes_meanwhile_is_not_claimed(self, team: Team) -> None:
        share = team.cloud.share()
        team.cloud.steering.before(
            ShareStore.claim, lambda: team.cloud.deletion.unshare(ShareId(share.id), share.secret)
        )
        with pytest.raises(Gone):
            share.sync(part("1"), actor=team.ada)

    def test_viewers_who_may_not_watch_it_any_more_are_sent_away(self, team: Team) -> None:
        share = team.cloud.share()
        viewer = team.cloud.follow(share.id)
        team.people.policy(team.workspace, share_mode="workspace")
        share.sync(part("1"), actor=team.ada)
        assert not viewer.open
        assert team.cloud.store.viewers(ShareId(share.id)) == []


class TestChanging:
    def test_a_change_of_who_may_read_ends_the_sockets_of_all_who_watch(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        viewer = team.cloud.follow(share.id)
        team.cloud.change(share.id, team.ada, mode=Mode.WORKSPACE)
        assert (viewer.sent, viewer.open) == ([], False)
        assert team.cloud.store.viewers(ShareId(share.id)) == []

    def test_a_change_of_the_end_leaves_those_who_watch(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        viewer = team.cloud.follow(share.id)
        team.cloud.change(share.id, team.ada, expires_at=now_seconds() + 60)
        assert viewer.open
        team.cloud.change(share.id, team.ada, expires_at=0)
        assert team.cloud.row(share.id).expires_at is None

    def test_of_two_at_once_the_second_is_refused_and_nothing_is_mixed(self, team: Team) -> None:
        share, elsewhere = team.cloud.share(actor=team.ada), Environment(team.cloud.plane)
        team.cloud.steering.before(
            ShareStore.change, lambda: elsewhere.change(share.id, team.admin, mode=Mode.WORKSPACE)
        )
        with pytest.raises(Unavailable) as refused:
            team.cloud.change(share.id, team.ada, mode=Mode.PASSWORD, password="correct horse")
        assert refused.value.code == "contended"
        ownership = team.ownership(share)
        assert (ownership.mode, ownership.password_hash) == (Mode.WORKSPACE, "")

    def test_nothing_is_made_wider_or_longer_than_the_policy_allows(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        team.people.policy(team.workspace, share_mode="workspace", share_lifetime_seconds=60)
        with pytest.raises(Forbidden) as wide:
            team.cloud.change(share.id, team.ada, mode=Mode.PASSWORD, password="correct horse")
        assert wide.value.code == "mode_not_allowed"
        for end in (0, now_seconds() + 120):
            with pytest.raises(Forbidden) as long:
                team.cloud.change(share.id, team.ada, expires_at=end)
            assert long.value.code == "lifetime_not_allowed"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"mode": Mode.PASSWORD}, "invalid_password"),
            ({"password": "correct horse"}, "invalid_password"),
            ({"expires_at": 1}, "invalid_expiry"),
        ],
    )
    def test_a_change_that_contradicts_itself_is_refused(self, team: Team, change: dict[str, Any], code: str) -> None:
        share = team.cloud.share(actor=team.ada)
        with pytest.raises(BadRequest) as refused:
            team.cloud.change(share.id, team.ada, **change)
        assert refused.value.code == code

    def test_another_member_may_not_and_an_admin_of_the_workspace_may(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        elsewhere = team.people.workspace()
        stranger = team.cloud.actor(team.people.member(elsewhere, "admin"), elsewhere)
        for actor in (team.bob, stranger):
            with pytest.raises(NotFound):
                team.cloud.change(share.id, actor, mode=Mode.WORKSPACE)
            with pytest.raises(NotFound):
                team.cloud.owning.revoke_one(actor, ShareId(share.id), team.cloud.deletion)
        team.cloud.change(share.id, team.admin, mode=Mode.WORKSPACE)
        assert team.ownership(share).mode is Mode.WORKSPACE

    def test_the_trail_says_what_changed_and_never_the_password(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        team.cloud.change(share.id, team.ada, mode=Mode.PASSWORD, password="correct horse")
        entries = team.recorded()
        assert [entry["action"] for entry in entries] == ["share.created", "share.mode_changed"]
        assert (entries[1]["before"]["mode"], entries[1]["after"]["mode"]) == ("link", "password")
        assert "correct horse" not in str(entries)
        assert not [body for body in team.cloud.plane.stored() if b"correct horse" in body]


class TestListing:
    def test_members_see_their_own_and_admins_all_of_the_workspace(self, team: Team) -> None:
        mine, theirs = team.cloud.share(actor=team.ada), team.cloud.share(actor=team.bob)
        team.cloud.share()
        assert team.listed(team.ada) == [mine.id]
        assert set(team.listed(team.admin)) == {mine.id, theirs.id}
        assert team.listed(team.admin, own=True) == []

    def test_what_is_removed_or_over_is_in_no_list(self, team: Team) -> None:
        removed, living = team.cloud.share(actor=team.ada), team.cloud.share(actor=team.ada)
        over = Environment(team.cloud.plane, lifetime_seconds=-1).share(actor=team.ada)
        team.cloud.deletion.unshare(ShareId(removed.id), removed.secret)
        assert team.listed(team.ada) == [living.id]
        with pytest.raises(NotFound):
            team.cloud.owning.get(team.ada, ShareId(over.id))

    def test_a_share_is_listed_by_the_title_of_its_session(self, team: Team) -> None:
        share = team.cloud.share(actor=team.ada)
        share.sync(session(share.session_id, "first"), session(share.session_id, f"about {share.session_id}" * 20))
        title = team.cloud.owning.get(team.ada, ShareId(share.id)).ownership.title
        assert len(title) == 200
        share.sync({"type": "session", "data": {"title": 7}})
        assert team.cloud.owning.get(team.ada, ShareId(share.id)).ownership.title == title

    def test_a_title_tells_no_session_id_in_lists_and_the_audit_trail(self, team: Team) -> None:
        share, other = team.cloud.share(actor=team.ada), team.cloud.share()
        share.sync(session(share.session_id, f"Fix {share.session_id} after {other.session_id}"))
        title = team.cloud.owning.get(team.ada, ShareId(share.id)).ownership.title
        assert title == f"Fix {team.cloud.row(share.id).pseudonym} after {team.cloud.row(other.id).pseudonym}"
        team.cloud.owning.revoke_one(team.ada, share.id, team.cloud.deletion)
        kept = [str(team.recorded()).encode(), *team.cloud.plane.stored()]
        for session_id in (share.session_id, other.session_id):
            core = session_id.removeprefix("ses_").encode()
            assert not [body for body in kept if core in body]


class TestRevoking:
    def test_those_that_were_there_and_ones_own_are_removed_and_the_others_named(self, team: Team) -> None:
        mine, theirs = team.cloud.share(actor=team.ada), team.cloud.share(actor=team.bob)
        asked = [mine.id, theirs.id, ShareId("A" * 22), mine.id]
        assert team.cloud.owning.revoke(team.ada, asked, team.cloud.deletion) == ([mine.id], [theirs.id, "A" * 22])
        with pytest.raises(Gone):
            mine.sync(part("1"))
        assert theirs.sync(part("1")) == 1
        assert [entry["action"] for entry in team.recorded()][-1] == "share.revoked"

    def test_an_unshare_by_the_secret_is_recorded_for_a_share_with_an_owner(self, team: Team) -> None:
        owned, anonymous = team.cloud.share(actor=team.ada), team.cloud.share()
        team.recorded()
        for share in (owned, anonymous):
            removed = team.cloud.deletion.unshare(ShareId(share.id), share.secret)
            assert removed is not None
            team.cloud.owning.record_unshared(removed, None, "192.0.2.9")
        (entry,) = team.recorded()
        assert (entry["action"], entry["target_id"]) == ("share.revoked", owned.id)
