"""Proofs of mail domains, read from a real DNS server on the loopback interface."""

import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from sqlalchemy import update

from opencode_cloud.composition.services.workspaces import workspace_services
from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.schema.workspaces import domains
from opencode_cloud.workspaces.service.domains import LOOK_AGAIN_AFTER
from opencode_cloud.workspaces.services import WorkspaceServices
from tests.unit.workspaces.team import KEY, Place, code_of


class Zone:
    """A DNS server with configured TXT records."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            name = query.question[0].name
            found = self.texts.get(name.to_text(omit_final_dot=True))
            if found is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            else:
                quoted = [f'"{text}"' for text in found]
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", dns.rdatatype.TXT, *quoted))
            self._socket.sendto(answer.to_wire(), sender)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@pytest.fixture
def zone() -> Iterator[Zone]:
    made = Zone()
    yield made
    made.close()


@pytest.fixture
def team(place: Place, zone: Zone) -> WorkspaceServices:
    return workspace_services(
        place.database, place.outbox, lambda: KEY, "no key", lambda _: {}, lambda _: None, dns_server=zone.address
    )


def test_a_domain_is_proved_by_its_record(place: Place, team: WorkspaceServices, zone: Zone) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    claimed = team.domains.add(owner, owner.workspace_id, "corp.example", Role.MEMBER, auto_join=True)
    with pytest.raises(ServiceError) as caught:
        team.domains.verify(owner, owner.workspace_id, claimed.id)
    assert code_of(caught) == "domain_not_verified"
    assert claimed.record_value in caught.value.message
    zone.texts["_opencode-cloud.corp.example"] = ["something else"]
    with pytest.raises(ServiceError):
        team.domains.verify(owner, owner.workspace_id, claimed.id)
    zone.texts["_opencode-cloud.corp.example"].append(claimed.record_value)
    assert team.domains.verify(owner, owner.workspace_id, claimed.id).verified_at


def test_the_record_of_one_workspace_proves_nothing_for_another(
    place: Place, team: WorkspaceServices, zone: Zone
) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    stranger = place.member(eve := place.person("eve@evil.example"), place.founded(eve).id)
    mine = team.domains.add(owner, owner.workspace_id, "corp.example", Role.MEMBER, auto_join=True)
    theirs = team.domains.add(stranger, stranger.workspace_id, "corp.example", Role.MEMBER, auto_join=True)
    zone.texts["_opencode-cloud.corp.example"] = [mine.record_value]
    with pytest.raises(ServiceError) as caught:
        team.domains.verify(stranger, stranger.workspace_id, theirs.id)
    assert code_of(caught) == "domain_not_verified"
    with pytest.raises(ServiceError) as caught:
        team.domains.verify(stranger, stranger.workspace_id, mine.id)
    assert code_of(caught) == "domain_not_found"


def test_proofs_are_looked_up_again(place: Place, team: WorkspaceServices, zone: Zone) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    kept = team.domains.add(owner, owner.workspace_id, "kept.example", Role.MEMBER, auto_join=True)
    lost = team.domains.add(owner, owner.workspace_id, "lost.example", Role.MEMBER, auto_join=True)
    long_ago = utc_now() - LOOK_AGAIN_AFTER * 2
    with place.database.transaction() as connection:
        connection.execute(update(domains).values(verified_at=long_ago))
    zone.texts["_opencode-cloud.kept.example"] = [kept.record_value]
    assert team.domains.verify_again() == 1
    seen = team.domains.get(owner.workspace_id, kept.id).verified_at
    assert seen is not None
    assert seen > long_ago
    assert team.domains.get(owner.workspace_id, lost.id).verified_at == long_ago


def test_a_domain_of_a_member_who_left_admits_no_one_until_another_verifies_it(
    place: Place, team: WorkspaceServices, zone: Zone
) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    admin = place.joined(owner, "bob@corp.example", "admin")
    claimed = team.domains.add(admin, owner.workspace_id, "corp.example", Role.MEMBER, auto_join=True)
    zone.texts["_opencode-cloud.corp.example"] = [claimed.record_value]
    team.domains.verify(admin, owner.workspace_id, claimed.id)

    def joins(email: str) -> bool:
        person = place.person(email)
        with place.outbox.unit() as unit:
            return team.workspaces.auto_join(unit, person.account_id) == [owner.workspace_id]

    assert joins("one@corp.example")
    team.members.change_role(owner, owner.workspace_id, MemberId(admin.id), Role.MEMBER)
    assert [each.paused for each in team.domains.of_workspace(owner.workspace_id)] == [True]
    assert not joins("two@corp.example")
    team.members.remove(owner, owner.workspace_id, MemberId(admin.id))
    assert not joins("three@corp.example")
    assert team.domains.verify_again() == 0
    assert team.domains.verify(owner, owner.workspace_id, claimed.id).paused is False
    assert joins("four@corp.example")


@pytest.mark.parametrize("name", ["", "com", "no spaces.example", "-.example", "a@b.example", "http://corp.example"])
def test_what_is_no_domain_is_refused(place: Place, team: WorkspaceServices, name: str) -> None:
    owner = place.member(ada := place.person("ada@corp.example"), place.founded(ada).id)
    with pytest.raises(ServiceError) as caught:
        team.domains.add(owner, owner.workspace_id, name, Role.MEMBER, auto_join=True)
    assert code_of(caught) == "invalid_domain"
