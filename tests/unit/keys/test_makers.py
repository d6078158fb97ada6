"""Keys that keys made end with their maker. Machines of former members are marked for the owners."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.ids import KeyId, MemberId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.keys.models import NewKey, Provider
from opencode_cloud.keys.service import CreateKey, UpdateKey
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from tests.unit.keys.test_keys import acting_by
from tests.unit.workspaces.team import Place, code_of

ADMIN = CreateKey(name="k", scopes=[KeyScope.ADMIN])


@pytest.fixture
def owner(place: Place) -> Actor:
    return place.member(ada := place.person("ada@example.com"), place.founded(ada).id)


def chain(place: Place, owner: Actor, length: int = 3) -> list[NewKey]:
    """Return keys, each made by the one before: for its holder, and for a service account in turn."""
    machine = place.team.service_accounts.create(owner, owner.workspace_id, "ci")
    made = [place.team.keys.create(owner, owner.workspace_id, ADMIN)]
    while len(made) < length:
        account = machine.id if len(made) % 2 else None
        wish = replace(ADMIN, service_account_id=account)
        made.append(place.team.keys.create(acting_by(made[-1], owner), owner.workspace_id, wish))
    return made


def alive(place: Place, owner: Actor) -> set[KeyId]:
    return {key.id for key in place.team.keys.of_workspace(owner, owner.workspace_id)}


def test_a_key_says_which_key_made_it(place: Place, owner: Actor) -> None:
    first, second, third = chain(place, owner)
    assert [each.made_by_key_id for each in (first, second, third)] == [None, first.id, second.id]


@pytest.mark.parametrize("revoked", range(4))
def test_revoking_a_key_revokes_all_that_were_made_with_it_and_no_others(
    place: Place, owner: Actor, revoked: int
) -> None:
    made, other = chain(place, owner, 4), place.team.keys.create(owner, owner.workspace_id, ADMIN)
    place.messages.clear()
    place.team.keys.revoke(owner, owner.workspace_id, made[revoked].id)
    assert alive(place, owner) == {other.id, *(each.id for each in made[:revoked])}
    assert sorted(place.told(Topic.KEY)) == sorted(each.id for each in made[revoked:])


def test_keys_of_ended_keys_end_too(place: Place, owner: Actor) -> None:
    first, _, third = chain(place, owner)
    second = place.team.keys.get(owner, owner.workspace_id, KeyId(third.made_by_key_id or ""))
    place.team.keys.narrow(owner, owner.workspace_id, third.id, UpdateKey(name="spare"))
    place.team.keys.revoke(owner, owner.workspace_id, second.id)
    place.team.keys.revoke(owner, owner.workspace_id, first.id)
    assert alive(place, owner) == set()


def test_the_keys_that_a_removed_members_keys_made_end(place: Place, owner: Actor) -> None:
    bob = place.joined(owner, "bob@example.com", "admin")
    made = chain(place, bob)
    by_person = replace(ADMIN, service_account_id=made[1].service_account_id)
    kept = place.team.keys.create(bob, owner.workspace_id, by_person)
    place.team.members.remove(owner, owner.workspace_id, MemberId(bob.id))
    assert alive(place, owner) == {kept.id}


def test_the_keys_that_a_deleted_service_accounts_keys_made_end(place: Place, owner: Actor) -> None:
    first, second, third = chain(place, owner)
    assert second.service_account_id
    outliving = place.team.service_accounts.create(owner, owner.workspace_id, "other")
    wish = replace(ADMIN, service_account_id=outliving.id)
    place.team.keys.create(acting_by(second, owner), owner.workspace_id, wish)
    place.team.service_accounts.delete(owner, owner.workspace_id, second.service_account_id)
    assert alive(place, owner) == {first.id}
    assert third.id not in alive(place, owner)


def test_a_rotation_ends_what_the_old_key_made_with_it(place: Place, owner: Actor) -> None:
    first, second, third = chain(place, owner)
    place.team.keys.rotate(owner, owner.workspace_id, first.id, timedelta(hours=1))
    ends = [place.team.keys.get(owner, owner.workspace_id, each.id).expires_at for each in (first, second, third)]
    assert ends[0] is not None
    assert ends == [ends[0]] * 3
    assert ends[0] < utc_now() + timedelta(hours=2)


def test_a_key_that_rotates_itself_lives_on_in_the_new_one_until_it_is_revoked(place: Place, owner: Actor) -> None:
    stolen = place.team.keys.create(owner, owner.workspace_id, ADMIN)
    new = place.team.keys.rotate(acting_by(stolen, owner), owner.workspace_id, stolen.id, timedelta())
    assert alive(place, owner) == {new.id}
    assert new.expires_at is None
    place.team.keys.revoke(owner, owner.workspace_id, stolen.id)
    assert alive(place, owner) == set()


def test_narrower_limits_bound_what_the_key_made(place: Place, owner: Actor) -> None:
    maker = place.team.keys.create(owner, owner.workspace_id, ADMIN)
    actor = acting_by(maker, owner)
    wide = place.team.keys.create(actor, owner.workspace_id, ADMIN)
    narrow = place.team.keys.create(actor, owner.workspace_id, replace(ADMIN, networks=["10.1.0.0/16"]))
    ends = utc_now() + timedelta(days=1)
    update = UpdateKey(networks=["10.0.0.0/8"], expires_at=ends)
    place.team.keys.narrow(owner, owner.workspace_id, maker.id, update)
    assert alive(place, owner) == {maker.id, narrow.id}
    assert place.team.keys.get(owner, owner.workspace_id, narrow.id).expires_at == ends
    assert place.team.keys.get(owner, owner.workspace_id, wide.id).revoked_at


def test_a_revoked_key_makes_no_key(place: Place, owner: Actor) -> None:
    stolen = place.team.keys.create(owner, owner.workspace_id, ADMIN)
    place.team.keys.revoke(owner, owner.workspace_id, stolen.id)
    with pytest.raises(ServiceError) as caught:
        place.team.keys.create(acting_by(stolen, owner), owner.workspace_id, ADMIN)
    assert code_of(caught) == "key_not_found"


def test_what_a_former_member_set_up_is_marked_for_the_owners(place: Place, owner: Actor) -> None:
    bob = place.joined(owner, "bob@example.com", "admin")
    machine = place.team.service_accounts.create(bob, owner.workspace_id, "ci")
    wish = replace(ADMIN, service_account_id=machine.id)
    by_bob = place.team.keys.create(bob, owner.workspace_id, wish)
    by_key = place.team.keys.create(acting_by(by_bob, bob), owner.workspace_id, wish)
    by_owner = place.team.keys.create(owner, owner.workspace_id, wish)
    assert place.team.keys.of_workspace(owner, owner.workspace_id, creator_left=True) == []
    place.team.members.remove(owner, owner.workspace_id, MemberId(bob.id))
    left = place.team.keys.of_workspace(owner, owner.workspace_id, creator_left=True)
    assert [(key.id, key.creator_left) for key in left] == [(by_key.id, True), (by_bob.id, True)]
    assert place.team.keys.get(owner, owner.workspace_id, by_owner.id).creator_left is False
    assert [each.creator_left for each in place.team.service_accounts.of_workspace(owner.workspace_id)] == [True]
    place.joined_again(owner, bob)
    assert place.team.keys.of_workspace(owner, owner.workspace_id, creator_left=True) == []


@pytest.mark.parametrize("name", ["a\x00", "two\r\nlines", "\u202etxt", "\u200b", "\u3164"])
def test_names_of_keys_are_clean(place: Place, owner: Actor, name: str) -> None:
    made = place.team.keys.create(owner, owner.workspace_id, ADMIN)
    attempts = (
        lambda: place.team.keys.create(owner, owner.workspace_id, replace(ADMIN, name=name)),
        lambda: place.team.keys.narrow(owner, owner.workspace_id, made.id, UpdateKey(name=name)),
        lambda: place.team.service_accounts.create(owner, owner.workspace_id, name),
        lambda: place.team.workspaces.create(place.person(f"{len(name)}@example.org"), name),
        lambda: place.team.workspaces.change(owner, owner.workspace_id, 1, {"name": name}),
        lambda: place.team.credentials.create(owner, owner.workspace_id, Provider.OPENAI, name, "a secret", None),
    )
    for attempt in attempts:
        with pytest.raises(ServiceError) as caught:
            attempt()
        assert code_of(caught) in {"invalid_name", "name_required"}


def test_a_key_sets_no_address_of_a_provider(place: Place, owner: Actor) -> None:
    actor = acting_by(place.team.keys.create(owner, owner.workspace_id, ADMIN), owner)
    with pytest.raises(ServiceError) as caught:
        place.team.credentials.create(
            actor, owner.workspace_id, Provider.OPENAI_COMPATIBLE, "x", "a secret", "https://evil.example/v1"
        )
    assert code_of(caught) == "person_required"
