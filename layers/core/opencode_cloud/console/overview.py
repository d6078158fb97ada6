"""The overview of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.policies.models import Policy, Versioned
from opencode_cloud.workspaces.models import InvitationState

if TYPE_CHECKING:
    from opencode_cloud.policies.service import Publisher
    from opencode_cloud.workspaces.services import WorkspaceServices

MOST_COUNTED = 500
"""Highest exact number on the overview, in rows. A higher count would cost too many reads."""


class Overview:
    """The overview of a workspace."""

    PAGE: ClassVar[ConsolePage] = menu.OVERVIEW

    def __init__(self, app: ConsoleApp, team: WorkspaceServices, publisher: Publisher) -> None:
        self._app = app
        self._team = team
        self._publisher = publisher

    def mount(self) -> None:
        """Add every page."""
        self._app.add(self.PAGE, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET /console/{workspace_id}``: counts of the workspace, and instructions for connecting a client."""
        policy = self._publisher.current(Versioned.POLICY, request.workspace.id)
        return self._app.page(
            request,
            counts=self._counts(request),
            version=policy.version,
            policy=Policy.model_validate(policy.document),
            base_url=self._app.base_url(),
        )

    def _counts(self, request: PageRequest) -> list[tuple[str, str, str]]:
        """Return label, number and page for each kind of row that the actor may read."""
        workspace_id, most = request.workspace.id, MOST_COUNTED + 1
        pending = InvitationState.PENDING
        countable: list[tuple[Permission, str, str, Callable[[], Sequence[Any]]]] = [
            (
                Permission.MEMBER_READ,
                "Members",
                "members",
                lambda: self._team.members.members_of(workspace_id, limit=most),
            ),
            (
                Permission.MEMBER_INVITE,
                "Open invitations",
                "members",
                lambda: self._team.invitations.of_workspace(workspace_id, state=pending, limit=most),
            ),
            (
                Permission.KEY_OWN,
                "Keys" if request.may(Permission.KEY_MANAGE) else "Your keys",
                "keys",
                lambda: self._team.keys.of_workspace(request.actor, workspace_id, limit=most),
            ),
            (
                Permission.SERVICE_ACCOUNT_READ,
                "Service accounts",
                "keys",
                lambda: self._team.service_accounts.of_workspace(workspace_id, limit=most),
            ),
        ]
        return [(words, _number(read()), page) for needed, words, page, read in countable if request.may(needed)]


def _number(rows: Sequence[Any]) -> str:
    return str(len(rows)) if len(rows) <= MOST_COUNTED else f"over {MOST_COUNTED}"
