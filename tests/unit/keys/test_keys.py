"""Keys: permissions to create them, their rights, and their end."""

import base64
import hashlib
from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from opencode_cloud.access.credentials import hash_of_key
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import ServiceAccountId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.keys.models import NewKey
from opencode_cloud.keys.service import CreateKey, UpdateKey
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.mail import mails
from tests.unit.workspaces.team import Place, code_of


@pytest.fixture
def owner(place: Place) -> Actor:
    return place.member(ada := place.person("ada@example.com"), place.founded(ada).id)


def acting_by(key: NewKey, holder: Actor) -> Actor:
    """Return the actor that a request with ``key`` would have."""
    if key.service_account_id:
        holder = replace(holder, kind=ActorKind.SERVICE_ACCOUNT, id=key.service_account_id, account_id="", role="admin")
    return replace(holder, credential=CredentialKind.KEY, key_id=key.id, scopes=frozenset(key.scopes))


def test_only_the_hash_of_a_key_is_kept(place: Place, owner: Actor) -> None:
    made = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.INFERENCE]))
    with place.database.transaction() as connection:
        row = connection.execute(select(keys)).one()
    assert row.hash == hash_of_key(made.secret) == hashlib.sha256(made.secret.encode()).digest()
    assert len(base64.urlsafe_b64decode(made.secret.removeprefix("oc_sk_") + "=")) == 32
    assert made.secret not in str(row)
    assert made.secret.startswith(row.prefix)
    assert len(row.prefix) + len(row.suffix) <= 14
    told = [message.payload for message in place.messages if message.topic == Topic.KEY]
    assert told == [{"hash": row.hash.hex()}]


def test_members_see_their_own_keys_and_admins_all(place: Place, owner: Actor) -> None:
    bob = place.joined(owner, "bob@example.com", "member")
    theirs = place.team.keys.create(bob, owner.workspace_id, CreateKey(name="b", scopes=[KeyScope.INFERENCE]))
    mine = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="a", scopes=[KeyScope.INFERENCE]))
    assert [each.id for each in place.team.keys.of_workspace(bob, owner.workspace_id)] == [theirs.id]
    assert [each.id for each in place.team.keys.of_workspace(owner, owner.workspace_id)] == [mine.id, theirs.id]
    assert [each.id for each in place.team.keys.of_workspace(owner, owner.workspace_id, own=True)] == [mine.id]
    assert place.team.keys.of_workspace(bob, owner.workspace_id, service_account_id=ServiceAccountId("svc_other")) == []
    for attempt in (place.team.keys.get, place.team.keys.revoke):
        with pytest.raises(ServiceError) as caught:
            attempt(bob, owner.workspace_id, mine.id)
        assert code_of(caught) == "key_not_found"


def test_nobody_gets_a_key_that_acts_for_another_person(place: Place, owner: Actor) -> None:
    admin = place.joined(owner, "bob@example.com", "admin")
    owners = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="o", scopes=[KeyScope.ADMIN]))
    with pytest.raises(ServiceError) as caught:
        place.team.keys.rotate(admin, owner.workspace_id, owners.id, timedelta())
    assert code_of(caught) == "not_your_key"
    place.team.keys.revoke(admin, owner.workspace_id, owners.id)  # revoking is allowed


def test_a_service_accounts_key_needs_who_manages_keys(place: Place, owner: Actor) -> None:
    machine = place.team.service_accounts.create(owner, owner.workspace_id, "ci")
    bob = place.joined(owner, "bob@example.com", "member")
    wish = CreateKey(name="ci", scopes=[KeyScope.INFERENCE], service_account_id=machine.id)
    with pytest.raises(ServiceError) as caught:
        place.team.keys.create(bob, owner.workspace_id, wish)
    assert code_of(caught) == "not_permitted"
    made = place.team.keys.create(owner, owner.workspace_id, wish)
    assert (made.holder, made.member_id, made.service_account_id) == ("ci", None, machine.id)
    with pytest.raises(ServiceError) as caught:
        place.team.keys.create(owner, owner.workspace_id, replace(wish, service_account_id="svc_of_another"))
    assert code_of(caught) == "service_account_not_found"


def test_a_key_makes_no_wider_key(place: Place, owner: Actor) -> None:
    limits = {"models": ["anthropic/*"], "networks": ["10.0.0.0/8"], "expires_at": utc_now() + timedelta(days=1)}
    admins = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="a", scopes=[KeyScope.ADMIN], **limits))
    actor = acting_by(admins, owner)
    wider = {
        "scopes": CreateKey(name="x", scopes=[KeyScope.ADMIN, KeyScope.INFERENCE], **limits),
        "models": CreateKey(name="x", scopes=[KeyScope.ADMIN], **{**limits, "models": None}),
        "networks": CreateKey(name="x", scopes=[KeyScope.ADMIN], **{**limits, "networks": ["11.0.0.0/8"]}),
        "expires_at": CreateKey(
            name="x", scopes=[KeyScope.ADMIN], **{**limits, "expires_at": utc_now() + timedelta(days=2)}
        ),
    }
    for field, wish in wider.items():
        with pytest.raises(ServiceError) as caught:
            place.team.keys.create(actor, owner.workspace_id, wish)
        assert code_of(caught) == "wider_than_yourself"
        assert field in caught.value.message
    narrow = CreateKey(name="x", scopes=[KeyScope.ADMIN], **{**limits, "models": ["anthropic/claude-*"]})
    place.team.keys.create(actor, owner.workspace_id, narrow)


def test_a_key_does_not_rotate_another_that_may_more(place: Place, owner: Actor) -> None:
    machine = place.team.service_accounts.create(owner, owner.workspace_id, "ci")
    wish = CreateKey(name="ci", scopes=[KeyScope.INFERENCE], service_account_id=machine.id)
    inference = place.team.keys.create(owner, owner.workspace_id, wish)
    admin = place.team.keys.create(owner, owner.workspace_id, replace(wish, scopes=[KeyScope.ADMIN]))
    with pytest.raises(ServiceError) as caught:
        place.team.keys.rotate(acting_by(admin, owner), owner.workspace_id, inference.id, timedelta())
    assert code_of(caught) == "wider_than_yourself"


def test_a_rotated_key_ends_after_the_overlap_and_keeps_its_limits(place: Place, owner: Actor) -> None:
    wish = CreateKey(
        name="k", scopes=[KeyScope.USAGE], networks=["10.0.0.0/8"], expires_at=utc_now() + timedelta(days=30)
    )
    old = place.team.keys.create(owner, owner.workspace_id, wish)
    new = place.team.keys.rotate(owner, owner.workspace_id, old.id, timedelta(hours=1))
    assert (new.scopes, new.networks, new.name) == (old.scopes, old.networks, old.name)
    assert new.expires_at is not None
    assert abs(new.expires_at - utc_now() - timedelta(days=30)) < timedelta(minutes=1)
    ending = place.team.keys.get(owner, owner.workspace_id, old.id)
    assert ending.replaced_by == new.id
    assert ending.expires_at is not None
    assert abs(ending.expires_at - utc_now() - timedelta(hours=1)) < timedelta(minutes=1)
    place.team.keys.rotate(owner, owner.workspace_id, new.id, timedelta())
    with pytest.raises(ServiceError) as caught:
        place.team.keys.rotate(owner, owner.workspace_id, new.id, timedelta())
    assert code_of(caught) == "key_revoked"


def test_an_overlap_does_not_lengthen_a_keys_life(place: Place, owner: Actor) -> None:
    ends = utc_now() + timedelta(minutes=5)
    old = place.team.keys.create(
        owner, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.USAGE], expires_at=ends)
    )
    place.team.keys.rotate(owner, owner.workspace_id, old.id, timedelta(days=7))
    assert place.team.keys.get(owner, owner.workspace_id, old.id).expires_at == ends


def test_limits_can_only_be_narrowed(place: Place, owner: Actor) -> None:
    made = place.team.keys.create(
        owner, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.USAGE, KeyScope.ADMIN])
    )
    narrowed = place.team.keys.narrow(
        owner, owner.workspace_id, made.id, UpdateKey(name="n", scopes=[KeyScope.USAGE], models=["a/*"])
    )
    assert (narrowed.name, narrowed.scopes, narrowed.models) == ("n", [KeyScope.USAGE], ["a/*"])
    for wish in (UpdateKey(scopes=[KeyScope.ADMIN]), UpdateKey(models=["*"])):
        with pytest.raises(ServiceError) as caught:
            place.team.keys.narrow(owner, owner.workspace_id, made.id, wish)
        assert code_of(caught) == "only_narrower"


def test_a_key_of_another_workspace_is_not_found(place: Place, owner: Actor) -> None:
    stranger = place.member(eve := place.person("eve@example.com"), place.founded(eve).id)
    made = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.USAGE]))
    attempts = (
        lambda: place.team.keys.get(stranger, stranger.workspace_id, made.id),
        lambda: place.team.keys.revoke(stranger, stranger.workspace_id, made.id),
        lambda: place.team.keys.rotate(stranger, stranger.workspace_id, made.id, timedelta()),
        lambda: place.team.keys.narrow(stranger, stranger.workspace_id, made.id, UpdateKey(name="x")),
    )
    for attempt in attempts:
        with pytest.raises(ServiceError) as caught:
            attempt()
        assert code_of(caught) == "key_not_found"


def test_a_key_says_when_it_was_last_used(place: Place, owner: Actor) -> None:
    made = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.USAGE]))
    assert place.team.keys.get(owner, owner.workspace_id, made.id).last_used_at is None
    place.uses[made.id] = 1_800_000_000
    shown = place.team.keys.of_workspace(owner, owner.workspace_id)[0]
    assert str(shown.last_used_at) == "2027-01-15 08:00:00"


def test_what_is_recorded_of_a_key_is_not_the_key(place: Place, owner: Actor) -> None:
    made = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.USAGE]))
    place.team.keys.rotate(owner, owner.workspace_id, made.id, timedelta())
    place.team.keys.revoke(owner, owner.workspace_id, made.id)
    with place.database.transaction() as connection:
        entries = connection.execute(select(audit_entries)).all()
    assert [each.action for each in entries if each.target_kind == "key"] == [
        "key.created",
        "key.rotated",
        "key.revoked",
    ]
    assert made.secret not in str(entries)


def test_the_holder_is_told_of_a_new_key_and_its_maker_of_a_service_accounts(place: Place, owner: Actor) -> None:
    machine = place.team.service_accounts.create(owner, owner.workspace_id, "ci")
    bob = place.joined(owner, "bob@example.com", "member")
    theirs = place.team.keys.create(bob, owner.workspace_id, CreateKey(name="laptop", scopes=[KeyScope.INFERENCE]))
    place.team.keys.rotate(bob, owner.workspace_id, theirs.id, timedelta(hours=1))
    wish = CreateKey(name="ci", scopes=[KeyScope.ADMIN], service_account_id=machine.id)
    admin = place.team.keys.create(owner, owner.workspace_id, wish)
    place.team.keys.create(acting_by(admin, owner), owner.workspace_id, wish)
    with place.database.transaction() as connection:
        sent = connection.execute(select(mails).where(mails.c.template.like("key-%")).order_by(mails.c.id)).all()
    assert [(each.template, each.recipient) for each in sent] == [
        ("key-created", "bob@example.com"),
        ("key-rotated", "bob@example.com"),
        ("key-created", "ada@example.com"),
    ]
    assert theirs.secret not in str(sent)
