"""The projection's rows: read as written, never replaced by an older state, and deleted with their object."""

from __future__ import annotations

import msgspec
import pytest

from opencode_cloud.access.models import Known, ProjectionKey, ProjectionKind
from opencode_cloud.access.store import AccessStore, KeyUses, uses
from opencode_cloud.access.store.inference import InferenceStore
from opencode_cloud.contracts.access import (
    KnownConfiguration,
    KnownCredential,
    KnownCredentials,
    KnownKey,
    KnownMember,
    KnownSession,
    KnownWorkspace,
)
from opencode_cloud.contracts.ids import (
    AccountId,
    CredentialId,
    KeyId,
    MemberId,
    ServiceAccountId,
    SessionId,
    WorkspaceId,
)
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from tests.unit.access import projected
from tests.unit.access.projected import ROWS, Projected
from tests.unit.aws import Cloud, InProcessDynamoDB

CONFIGURATION = ProjectionKey(ProjectionKind.CONFIGURATION, "wrk_1")
CREDENTIALS = ProjectionKey(ProjectionKind.CREDENTIALS, "wrk_1")
OWN_KEYS = KnownCredentials(
    credentials=(
        KnownCredential(
            id=CredentialId("cred_1"), provider="openai", name="ours", base_url=None, sealed=b"\x00\xff", data_key=b"k"
        ),
    )
)


@pytest.fixture
def rows(cloud: Cloud) -> Projected:
    return Projected(cloud)


@pytest.fixture
def store(rows: Projected) -> AccessStore:
    return AccessStore(rows.access, rows.sessions)


@pytest.fixture
def inference(rows: Projected) -> InferenceStore:
    return InferenceStore(InProcessDynamoDB(), rows.access, rows.sessions)


class TestReading:
    def test_a_person_is_read_as_projected(self, store: AccessStore) -> None:
        person = store.person(AccountId("acc_1"), WorkspaceId("wrk_1"))
        assert (person.account, person.member, person.workspace) == (
            ROWS[projected.ACCOUNT],
            ROWS[projected.MEMBER],
            ROWS[projected.WORKSPACE],
        )

    def test_a_person_without_a_workspace_is_only_an_account(self, store: AccessStore) -> None:
        person = store.person(AccountId("acc_1"), None)
        assert (person.account, person.member, person.workspace) == (ROWS[projected.ACCOUNT], None, None)

    @pytest.mark.parametrize("place", [projected.KEY, projected.MACHINE_KEY], ids=["person", "service account"])
    def test_a_key_is_found_by_its_hash_and_has_a_holder(self, store: AccessStore, place: ProjectionKey) -> None:
        key = store.key(bytes.fromhex(place.id))
        assert key == ROWS[place]
        assert isinstance(key, KnownKey)
        holder = store.holder(key)
        assert holder.workspace == ROWS[projected.WORKSPACE]
        of_person = place is projected.KEY
        assert holder.account == (ROWS[projected.ACCOUNT] if of_person else None)
        assert holder.member == (ROWS[projected.MEMBER] if of_person else None)
        assert holder.service_account == (None if of_person else ROWS[projected.MACHINE])

    def test_the_configuration_of_clients_is_read_byte_by_byte(self, rows: Projected, store: AccessStore) -> None:
        assert store.clients(WorkspaceId("wrk_1")) == (ROWS[projected.WORKSPACE], None)
        configuration = KnownConfiguration(etag="e1", config=msgspec.Raw(b'{"a": 1.50}'), providers=msgspec.Raw(b"{ }"))
        rows.put(CONFIGURATION, configuration)
        _, found = store.clients(WorkspaceId("wrk_1"))
        assert found is not None
        assert (found.etag, bytes(found.config), bytes(found.providers)) == ("e1", b'{"a": 1.50}', b"{ }")

    async def test_the_gateway_reads_the_same_in_one_round_trip(
        self, rows: Projected, inference: InferenceStore
    ) -> None:
        rows.put(CREDENTIALS, OWN_KEYS)
        rows.session("sid_1", 1_900_000_000)
        found = await inference.read([*ROWS, CREDENTIALS], SessionId("sid_1"))
        assert found.account(AccountId("acc_1")) == ROWS[projected.ACCOUNT]
        assert found.member(AccountId("acc_1"), WorkspaceId("wrk_1")) == ROWS[projected.MEMBER]
        assert found.service_account(ServiceAccountId("svc_1"), WorkspaceId("wrk_1")) == ROWS[projected.MACHINE]
        assert found.workspace(WorkspaceId("wrk_1")) == ROWS[projected.WORKSPACE]
        assert found.key(bytes.fromhex(projected.KEY.id)) == ROWS[projected.KEY]
        assert found.credentials(WorkspaceId("wrk_1")) == OWN_KEYS
        assert found.session == KnownSession(
            id=SessionId("sid_1"), account_id=AccountId("acc_1"), kind="device", expires_at=1_900_000_000
        )

    async def test_what_was_not_asked_for_or_is_not_there_is_not_known(self, inference: InferenceStore) -> None:
        found = await inference.read(
            [projected.WORKSPACE, ProjectionKey(ProjectionKind.WORKSPACE, "wrk_3")], SessionId("sid_9")
        )
        assert (found.account(AccountId("acc_1")), found.workspace(WorkspaceId("wrk_3")), found.session) == (
            None,
            None,
            None,
        )
        assert found.credentials(WorkspaceId("wrk_1")) == KnownCredentials()

    async def test_an_ended_session_is_not_known(
        self, rows: Projected, store: AccessStore, inference: InferenceStore
    ) -> None:
        rows.session("sid_1", now_seconds() + 60, ended_at={"N": "1"})
        assert store.session(SessionId("sid_1")) is None
        assert (await inference.read([projected.WORKSPACE], SessionId("sid_1"))).session is None

    def test_memberships_come_whole_over_pages(self, rows: Projected, store: AccessStore) -> None:
        # Four rows of 300 KB are more than one page of a query (1 MB).
        for number in range(4):
            workspace = f"wrk_page_{number}"
            member = KnownMember(
                id=MemberId(f"mem_{number}"),
                account_id=AccountId("acc_2"),
                workspace_id=WorkspaceId(workspace),
                role="member",
                email="x" * 300_000,
            )
            rows.put(ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId(workspace), AccountId("acc_2")), member)
            rows.put(
                ProjectionKey(ProjectionKind.WORKSPACE, workspace), KnownWorkspace(id=WorkspaceId(workspace), name="N")
            )
        found = store.memberships(AccountId("acc_2"))
        assert {(member.id, workspace.id) for member, workspace in found} == {
            (f"mem_{number}", f"wrk_page_{number}") for number in range(4)
        }
        assert set(rows.store.memberships(AccountId("acc_2"))) == {
            ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId(f"wrk_page_{number}"), AccountId("acc_2"))
            for number in range(4)
        }

    def test_memberships_come_whole_over_batches(self, rows: Projected, store: AccessStore) -> None:
        for number in range(101):
            workspace = f"wrk_batch_{number}"
            member = KnownMember(
                id=MemberId(f"mem_{number}"),
                account_id=AccountId("acc_2"),
                workspace_id=WorkspaceId(workspace),
                role="member",
            )
            rows.put(ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId(workspace), AccountId("acc_2")), member)
            rows.put(
                ProjectionKey(ProjectionKind.WORKSPACE, workspace), KnownWorkspace(id=WorkspaceId(workspace), name="N")
            )
        assert len(store.memberships(AccountId("acc_2"))) == 101

    def test_a_membership_of_a_workspace_that_is_gone_is_none(self, rows: Projected, store: AccessStore) -> None:
        rows.put(projected.WORKSPACE, None)
        assert store.memberships(AccountId("acc_1")) == []


class TestVersions:
    """A row accepts only a state that was read later than its own (invariant I9)."""

    @pytest.mark.parametrize(
        ("version", "taken"), [(9, False), (10, False), (11, True)], ids=["older", "same", "newer"]
    )
    @pytest.mark.parametrize("present", [ROWS[projected.KEY], None], ids=["a row", "a tombstone"])
    def test_versions_only_go_up(self, rows: Projected, present: Known | None, version: int, taken: bool) -> None:
        place = ProjectionKey(ProjectionKind.KEY, "ab" * 32)
        later = KnownKey(id=KeyId("key_9"), workspace_id=WorkspaceId("wrk_9"))
        assert rows.store.put(place, present, 10)
        assert rows.store.put(place, later, version) is taken
        assert AccessStore(rows.access, rows.sessions).key(bytes.fromhex("ab" * 32)) == (later if taken else present)

    def test_a_tombstone_is_kept_for_a_day(self, rows: Projected) -> None:
        rows.put(projected.MEMBER, None)
        pk, sk = projected.MEMBER.row
        [row] = [row for row in rows.cloud.rows(rows.access) if (row["pk"]["S"], row["sk"]["S"]) == (pk, sk)]
        assert "value" not in row
        assert abs(int(row["ttl"]["N"]) - now_seconds() - DAY_SECONDS) < 60

    def test_only_an_expiring_key_expires(self, rows: Projected) -> None:
        key = msgspec.structs.replace(ROWS[projected.KEY], expires_at=1_900_000_000)
        rows.put(projected.KEY, key)
        expiring = {row["pk"]["S"]: row["ttl"]["N"] for row in rows.cloud.rows(rows.access) if "ttl" in row}
        assert expiring == {projected.KEY.row[0]: str(1_900_000_000 + DAY_SECONDS)}


class TestKeyUses:
    def test_the_last_use_is_noted_once_in_a_while(self, rows: Projected, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1_800_000_000
        monkeypatch.setattr(uses, "now_seconds", lambda: now)
        noted = KeyUses(rows.sessions)
        noted.note(KeyId("key_1"))
        now += uses.RESOLUTION_SECONDS - 1
        noted.note(KeyId("key_1"))
        assert noted.of(["key_1", "key_2"]) == {"key_1": 1_800_000_000}
        now += 1
        noted.note(KeyId("key_1"))
        assert noted.of(["key_1"]) == {"key_1": now}

    def test_more_keys_than_a_batch_takes_are_known(self, rows: Projected) -> None:
        noted = KeyUses(rows.sessions)
        keys = [f"key_{number}" for number in range(101)]
        for key in keys:
            noted.note(KeyId(key))
        assert noted.of(keys).keys() == set(keys)
