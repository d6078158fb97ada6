"""People and workspaces of a deployment, for operators: look them up, block and unblock them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.identity.models import Account
from opencode_cloud.kit.errors import BadRequest, NotFound
from opencode_cloud.kit.mail_addresses import InvalidMailAddress, canonical_address

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.operators.ports import AccountDirectory
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.workspaces.services import WorkspaceServices

MOST_SHOWN = 100
"""Members of one workspace."""


class Directory:
    """The rules of the command line and of the pages."""

    def __init__(self, outbox: Outbox, accounts: AccountDirectory, team: WorkspaceServices, audit: AuditTrail) -> None:
        self._outbox = outbox
        self._accounts = accounts
        self._team = team
        self._record = Recorder[Account](audit, "account", lambda row: row.id, lambda row: row.email)

    def look_up(self, subject: str) -> dict[str, Any]:
        """Return a person by address or id with their workspaces, or a workspace by id with its members.

        Raises ``account_not_found`` or ``workspace_not_found`` (404), ``invalid_address`` (400).
        """
        if subject.startswith("wrk_"):
            return self._show_workspace(WorkspaceId(subject))
        with self._outbox.unit() as unit:
            account = self._account(unit, subject)
        memberships = self._team.workspaces.memberships(account.id)
        return {
            **msgspec.to_builtins(account),
            "workspaces": [
                {"id": membership.id, "name": membership.name, "role": membership.role} for membership in memberships
            ],
        }

    def block(self, actor: Actor, subject: str, *, blocked: bool) -> dict[str, Any]:
        """Block a person or a workspace, or unblock it; every plane knows it within seconds. Raises as ``look_up``."""
        if subject.startswith("wrk_"):
            change = self._team.workspaces.block if blocked else self._team.workspaces.unblock
            return change(actor, WorkspaceId(subject)).model_dump(mode="json")
        with self._outbox.unit() as unit:
            account = self._account(unit, subject)
            self._accounts.block(unit.connection, account.id, blocked=blocked)
            unit.emit(Topic.ACCOUNT, account.id)
            self._record(unit, actor, "account.blocked" if blocked else "account.unblocked", None, account)
            return msgspec.to_builtins(msgspec.structs.replace(account, blocked=blocked))

    def _show_workspace(self, workspace_id: WorkspaceId) -> dict[str, Any]:
        workspace = self._team.workspaces.look_up(workspace_id)
        members = self._team.members.members_of(workspace_id, limit=MOST_SHOWN)
        return {
            **workspace.model_dump(mode="json"),
            "members": [{"id": member.id, "email": member.email, "role": member.role} for member in members],
        }

    def _account(self, unit: UnitOfWork, subject: str) -> Account:
        account = (
            self._accounts.get(unit.connection, AccountId(subject))
            if subject.startswith("acc_")
            else self._accounts.by_address(unit.connection, canonical(subject))
        )
        if account is None:
            raise NotFound("account_not_found", "There is no account with this e-mail address or id.")
        return account


def canonical(email: str) -> str:
    """Return the canonical form of an address; raises ``invalid_address`` (400)."""
    try:
        return canonical_address(email)
    except InvalidMailAddress as error:
        raise BadRequest(
            "invalid_address", f"This is not an e-mail address that mail can be sent to. {error}"
        ) from error
