"""The projection of one workspace with a person, a service account and their keys, in tables in this process."""

from __future__ import annotations

from typing import Any

from opencode_cloud.access.credentials import hash_of_key
from opencode_cloud.access.models import Known, ProjectionKey, ProjectionKind
from opencode_cloud.access.store.projection import ProjectionStore
from opencode_cloud.contracts.access import KnownAccount, KnownKey, KnownMember, KnownServiceAccount, KnownWorkspace
from opencode_cloud.contracts.ids import AccountId, KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.kit import aws
from tests.unit.aws import Cloud

PERSONS_KEY = "oc_sk_" + "p" * 32
MACHINES_KEY = "oc_sk_" + "m" * 32
WORKSPACE = ProjectionKey(ProjectionKind.WORKSPACE, "wrk_1")
OTHER_WORKSPACE = ProjectionKey(ProjectionKind.WORKSPACE, "wrk_2")
ACCOUNT = ProjectionKey(ProjectionKind.ACCOUNT, "acc_1")
MEMBER = ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId("wrk_1"), AccountId("acc_1"))
MACHINE = ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, "svc_1", WorkspaceId("wrk_1"))
KEY = ProjectionKey(ProjectionKind.KEY, hash_of_key(PERSONS_KEY).hex())
MACHINE_KEY = ProjectionKey(ProjectionKind.KEY, hash_of_key(MACHINES_KEY).hex())

ROWS: dict[ProjectionKey, Known] = {
    WORKSPACE: KnownWorkspace(id=WorkspaceId("wrk_1"), name="One"),
    OTHER_WORKSPACE: KnownWorkspace(id=WorkspaceId("wrk_2"), name="Two"),
    ACCOUNT: KnownAccount(id=AccountId("acc_1"), email="ada@example.com"),
    MEMBER: KnownMember(
        id=MemberId("mem_1"), account_id=AccountId("acc_1"), workspace_id=WorkspaceId("wrk_1"), role="owner"
    ),
    MACHINE: KnownServiceAccount(id=ServiceAccountId("svc_1"), workspace_id=WorkspaceId("wrk_1"), name="CI"),
    KEY: KnownKey(
        id=KeyId("key_1"),
        workspace_id=WorkspaceId("wrk_1"),
        account_id=AccountId("acc_1"),
        member_id=MemberId("mem_1"),
        scopes=frozenset({"inference"}),
    ),
    MACHINE_KEY: KnownKey(
        id=KeyId("key_2"),
        workspace_id=WorkspaceId("wrk_1"),
        service_account_id=ServiceAccountId("svc_1"),
        scopes=frozenset({"admin"}),
    ),
}


class Projected:
    """Tables ``access`` and ``sessions`` with ``ROWS``, and a writer of further versions."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.access, self.sessions = cloud.table("access"), cloud.table("sessions")
        no_database: Any = None  # the database would hold the versions, which tests pass here
        self.store = ProjectionStore(no_database, self.access)
        self._version = 0
        for key, known in ROWS.items():
            self.put(key, known)

    def put(self, key: ProjectionKey, known: Known | None) -> None:
        """Write the next version of a row. None writes a tombstone."""
        self._version += 1
        assert self.store.put(key, known, self._version)

    def session(self, session_id: str, expires_at: int, **more: Any) -> None:
        """Write a session of the person."""
        aws.dynamodb().put_item(
            TableName=self.sessions,
            Item={
                "pk": {"S": f"session#{session_id}"},
                "account_id": {"S": "acc_1"},
                "kind": {"S": "device"},
                "expires_at": {"N": str(expires_at)},
                **more,
            },
        )
