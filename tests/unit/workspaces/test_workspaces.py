"""Workspaces: grace period, purge, and joining by domain."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select, update

from opencode_cloud.audit.service import SHORTER_AFTER
from opencode_cloud.audit.store import AuditArchive
from opencode_cloud.contracts.actor import CredentialKind
from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.sql import metadata
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.workspaces import domains, workspaces
from tests.unit.workspaces.team import Place, code_of


def test_a_purge_leaves_nothing_but_the_audit_trail(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "member")
    machine = place.team.service_accounts.create(owner, owner.workspace_id, "ci")
    key = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.USAGE]))
    place.team.invitations.invite(owner, owner.workspace_id, "cyd@example.com", Role.MEMBER)
    place.team.domains.add(owner, owner.workspace_id, "example.com", Role.MEMBER, auto_join=True)
    other = place.founded(ada, "Other").id
    version = place.team.workspaces.get(owner.workspace_id).version
    place.team.workspaces.delete(owner, owner.workspace_id, version)

    assert place.team.workspaces.purge_expired() == 0
    assert place.team.workspaces.look_up(owner.workspace_id).deleted_at
    with place.database.transaction() as connection:
        past = utc_now() - timedelta(seconds=1)
        connection.execute(update(workspaces).where(workspaces.c.id == owner.workspace_id).values(purge_after=past))
    place.messages.clear()
    assert place.team.workspaces.purge_expired() == 1

    with place.database.transaction() as connection:
        for table in metadata.sorted_tables:
            if "workspace_id" in table.c and table is not audit_entries:
                query = select(func.count()).select_from(table).where(table.c.workspace_id == owner.workspace_id)
                assert connection.execute(query).scalar_one() == 0, table.name
    assert place.team.workspaces.get(other).name == "Other"
    assert place.actions()[-1] == "workspace.purged"
    # The other planes delete it too.
    assert place.told(Topic.WORKSPACE) == place.told(Topic.CONFIGURATION) == [owner.workspace_id]
    assert sorted(place.told(Topic.MEMBER)) == sorted([owner.id, bob.id])
    assert place.told(Topic.SERVICE_ACCOUNT) == [machine.id]
    assert place.told(Topic.KEY) == [key.id]
    assert place.unshared == [owner.workspace_id]


def test_only_its_owner_restores_a_deleted_workspace(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "admin")
    place.team.workspaces.delete(owner, owner.workspace_id, 1)
    assert place.team.workspaces.memberships(bob.account_id) == []
    with pytest.raises(ServiceError) as caught:
        place.team.workspaces.restore(bob, owner.workspace_id)
    assert code_of(caught) == "workspace_not_found"
    assert place.team.workspaces.restore(owner, owner.workspace_id).deleted_at is None


def test_removing_a_member_ends_their_keys_and_no_others(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "member")
    theirs = place.team.keys.create(bob, owner.workspace_id, CreateKey(name="b", scopes=[KeyScope.INFERENCE]))
    mine = place.team.keys.create(owner, owner.workspace_id, CreateKey(name="a", scopes=[KeyScope.INFERENCE]))
    place.messages.clear()
    place.team.members.remove(owner, owner.workspace_id, MemberId(bob.id))
    assert place.told(Topic.KEY) == [theirs.id]
    assert place.team.keys.get(owner, owner.workspace_id, theirs.id).revoked_at
    assert place.team.keys.get(owner, owner.workspace_id, mine.id).revoked_at is None
    with place.database.transaction() as connection:
        mail = connection.execute(select(mails).where(mails.c.template == "member-removed")).one()
        stored = connection.execute(select(keys.c.hash).where(keys.c.id == theirs.id)).scalar_one()
    assert mail.recipient == "bob@example.com"
    assert theirs.secret.encode() not in stored


def verified(place: Place, domain: str, at: timedelta = timedelta()) -> None:
    with place.database.transaction() as connection:
        connection.execute(update(domains).where(domains.c.id == domain).values(verified_at=utc_now() - at))


def test_people_of_a_verified_domain_join_once(place: Place) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    claimed = place.team.domains.add(owner, owner.workspace_id, "Corp.Example", Role.VIEWER, auto_join=True)
    bob = place.person("bob@CORP.example")
    with place.outbox.unit() as unit:
        assert place.team.workspaces.auto_join(unit, bob.account_id) == []
    verified(place, claimed.id)
    with place.outbox.unit() as unit:
        assert place.team.workspaces.auto_join(unit, bob.account_id) == [owner.workspace_id]
    with place.outbox.unit() as unit:
        assert place.team.workspaces.auto_join(unit, bob.account_id) == []
    member = place.member(bob, owner.workspace_id)
    assert member.role == Role.VIEWER
    place.team.members.remove(owner, owner.workspace_id, MemberId(member.id))
    with place.outbox.unit() as unit:
        assert place.team.workspaces.auto_join(unit, bob.account_id) == [], "who was removed stays out"


def test_a_proof_that_was_not_seen_for_long_lets_nobody_in(place: Place) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    claimed = place.team.domains.add(owner, owner.workspace_id, "corp.example", Role.MEMBER, auto_join=True)
    verified(place, claimed.id, at=timedelta(days=61))
    with place.outbox.unit() as unit:
        assert place.team.workspaces.auto_join(unit, place.person("bob@corp.example").account_id) == []


def test_other_domains_that_end_alike_do_not_join(place: Place) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    verified(place, place.team.domains.add(owner, owner.workspace_id, "corp.example", Role.MEMBER, auto_join=True).id)
    for address in ("eve@evil-corp.example", "eve@sub.corp.example", "eve@corp.example.evil.example"):
        with place.outbox.unit() as unit:
            assert place.team.workspaces.auto_join(unit, place.person(address).account_id) == []


def test_changes_are_on_record_with_before_and_after(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    place.team.workspaces.change(owner, owner.workspace_id, 1, {"name": "Ajax"})
    with place.database.transaction() as connection:
        entry = connection.execute(select(audit_entries).where(audit_entries.c.action == "workspace.updated")).one()
    assert (entry.before, entry.after) == ({"name": "Acme"}, {"name": "Ajax"})
    assert (entry.workspace_id, entry.actor_id) == (owner.workspace_id, owner.id)


def test_only_an_owner_in_person_sets_the_life_of_the_audit_trail(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    admin = place.joined(owner, "bob@example.com", "admin")
    key = replace(owner, credential=CredentialKind.KEY, scopes=frozenset(KeyScope))
    for actor in (admin, key):
        with pytest.raises(ServiceError) as caught:
            place.team.workspaces.change(actor, owner.workspace_id, 1, {"audit_retention_days": 30, "name": "x"})
        assert code_of(caught) == "not_permitted"
    changed = place.team.workspaces.change(owner, owner.workspace_id, 1, {"audit_retention_days": 30})
    assert (changed.audit_retention_days, changed.name) == (30, "Acme")
    assert place.actions()[-1] == "workspace.updated"


def test_a_shorter_life_of_the_audit_trail_takes_effect_after_a_week(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    archive, now = AuditArchive(place.database), utc_now()

    def due(at: datetime) -> Sequence[tuple[str, int]]:
        return archive.retentions(at - SHORTER_AFTER)

    place.team.workspaces.change(owner, owner.workspace_id, 1, {"audit_retention_days": 3650})
    assert due(now) == [(owner.workspace_id, 3650)]
    place.team.workspaces.change(owner, owner.workspace_id, 2, {"audit_retention_days": 30})
    assert due(now + timedelta(days=6)) == []
    assert due(now + timedelta(days=8)) == [(owner.workspace_id, 30)]
