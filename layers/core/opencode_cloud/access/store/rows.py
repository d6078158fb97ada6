"""Rows of the tables ``access`` (the projection) and ``sessions``.

``access`` has the partition key ``pk`` and the sort key ``sk``. Every row has ``version``, which orders its states
(service/projection.py). The row of an existing thing also has ``value``: its model as JSON. A row without a value is a
tombstone. It prevents a writer with an older state from restoring a deleted thing.

=====================  ====================  ==========================================
``key#<sha256 hex>``   ``KEY``               :class:`KnownKey`
``workspace#<wrk>``    ``WORKSPACE``         :class:`KnownWorkspace`
``workspace#<wrk>``    ``SERVICE#<svc>``     :class:`KnownServiceAccount`
``workspace#<wrk>``    ``CONFIG``            :class:`KnownConfiguration`
``workspace#<wrk>``    ``CREDENTIALS``       :class:`KnownCredentials`
``account#<acc>``      ``ACCOUNT``           :class:`KnownAccount`
``account#<acc>``      ``MEMBER#<wrk>``      :class:`KnownMember`
=====================  ====================  ==========================================

``sessions`` (partition key ``pk``) belongs to identity; this module reads only ``session#<sid>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from opencode_cloud.access.rules import Holder
from opencode_cloud.contracts.access import (
    KnownAccount,
    KnownConfiguration,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownSession,
    KnownWorkspace,
)
from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import batch_get, primary_key

Model = TypeVar("Model")
Row = Mapping[str, Any]


class AccessStore:
    """Reads of the projection, always consistent."""

    def __init__(self, access_table: str, sessions_table: str) -> None:
        self._access = access_table
        self._sessions = sessions_table
        self._dynamodb = aws.dynamodb()

    def session(self, session_id: SessionId) -> KnownSession | None:
        """Return a session that has not been ended."""
        row: Any = self._dynamodb.get_item(
            TableName=self._sessions, Key=primary_key(f"session#{session_id}"), ConsistentRead=True
        ).get("Item")
        if row is None or "ended_at" in row:
            return None
        return KnownSession(
            id=session_id,
            account_id=row["account_id"]["S"],
            kind=row["kind"]["S"],
            expires_at=int(row["expires_at"]["N"]),
        )

    def person(self, account_id: AccountId, workspace_id: WorkspaceId | None) -> Holder:
        """Return a person and the person's membership in a workspace, in one round trip."""
        keys = [(f"account#{account_id}", "ACCOUNT")]
        if workspace_id:
            keys += [(f"account#{account_id}", f"MEMBER#{workspace_id}"), (f"workspace#{workspace_id}", "WORKSPACE")]
        rows = self._rows(keys)
        return Holder(
            account=_value(rows.get(keys[0]), KnownAccount),
            member=_value(rows.get(keys[1]), KnownMember) if workspace_id else None,
            workspace=_value(rows.get(keys[2]), KnownWorkspace) if workspace_id else None,
        )

    def workspace(self, workspace_id: WorkspaceId) -> KnownWorkspace | None:
        """Return a workspace."""
        keys = [(f"workspace#{workspace_id}", "WORKSPACE")]
        return _value(self._rows(keys).get(keys[0]), KnownWorkspace)

    def clients(self, workspace_id: WorkspaceId) -> tuple[KnownWorkspace | None, KnownConfiguration | None]:
        """Return a workspace and the remote config of its clients."""
        keys = [(f"workspace#{workspace_id}", "WORKSPACE"), (f"workspace#{workspace_id}", "CONFIG")]
        rows = self._rows(keys)
        return _value(rows.get(keys[0]), KnownWorkspace), _value(rows.get(keys[1]), KnownConfiguration)

    def memberships(self, account_id: AccountId) -> list[tuple[KnownMember, KnownWorkspace]]:
        """Return the workspaces of a person with the person's membership in each, in two round trips."""
        members: list[KnownMember] = []
        query: Any = {
            "TableName": self._access,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :member)",
            "ExpressionAttributeValues": {":pk": {"S": f"account#{account_id}"}, ":member": {"S": "MEMBER#"}},
            "ConsistentRead": True,
        }
        for page in self._dynamodb.pages(**query):
            members += filter(None, (_value(row, KnownMember) for row in page["Items"]))
        keys = [(f"workspace#{member.workspace_id}", "WORKSPACE") for member in members]
        rows = self._rows(keys)
        memberships = [
            (member, _value(rows.get(key), KnownWorkspace)) for member, key in zip(members, keys, strict=True)
        ]
        # A blocked or deleted workspace has no row.
        return [(member, workspace) for member, workspace in memberships if workspace]

    def names(self, workspace_id: WorkspaceId, holders: Sequence[str]) -> Mapping[str, str]:
        """Return the addresses of people (``acc_``) and the names of service accounts, by id, in one round trip.

        Holders who no longer exist are left out.
        """
        keys = {
            holder: (f"workspace#{workspace_id}", f"SERVICE#{holder}")
            if holder.startswith("svc_")
            else (f"account#{holder}", "ACCOUNT")
            for holder in dict.fromkeys(holders)
        }
        rows = self._rows(list(keys.values()))
        people = {holder: _value(rows.get(key), KnownAccount) for holder, key in keys.items() if key[1] == "ACCOUNT"}
        machines = {
            holder: _value(rows.get(key), KnownServiceAccount) for holder, key in keys.items() if key[1] != "ACCOUNT"
        }
        return {holder: each.email for holder, each in people.items() if each} | {
            holder: each.name for holder, each in machines.items() if each
        }

    def key(self, digest: bytes) -> KnownKey | None:
        """Return a key by its hash."""
        keys = [(f"key#{digest.hex()}", "KEY")]
        return _value(self._rows(keys).get(keys[0]), KnownKey)

    def holder(self, key: KnownKey) -> Holder:
        """Return the holder of a key, in one round trip."""
        account, workspace = f"account#{key.account_id}", f"workspace#{key.workspace_id}"
        workspace_key, account_key = (workspace, "WORKSPACE"), (account, "ACCOUNT")
        member_key = (account, f"MEMBER#{key.workspace_id}")
        service_account_key = (workspace, f"SERVICE#{key.service_account_id}")
        rows = self._rows(
            [workspace_key, account_key, member_key] if key.account_id else [workspace_key, service_account_key]
        )
        person = _value(rows.get(account_key), KnownAccount)
        return Holder(
            workspace=_value(rows.get(workspace_key), KnownWorkspace),
            account=person,
            # A blocked person has no account row, and so acts as no member.
            member=_value(rows.get(member_key), KnownMember) if person else None,
            service_account=_value(rows.get(service_account_key), KnownServiceAccount),
        )

    def _rows(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Row]:
        primary_keys = [primary_key(pk, sk) for pk, sk in keys]
        rows = batch_get(self._dynamodb, {self._access: primary_keys})[self._access]
        return {(row["pk"]["S"], row["sk"]["S"]): row for row in rows}


def _value(row: Row | None, model: type[Model]) -> Model | None:
    if row is None or "value" not in row:
        return None
    return msgspec.json.decode(row["value"]["S"], type=model)
