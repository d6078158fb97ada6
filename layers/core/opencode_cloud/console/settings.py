"""The page of a workspace's settings: name, retention, mail domains, transfer, leaving and deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.budgets.requests import UsageSettingsChange
from opencode_cloud.console import menu
from opencode_cloud.console.app import ROOT, ConsoleApp, PageRequest
from opencode_cloud.console.forms import InvalidForm, checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import DomainId, MemberId
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.http.pages import see
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.workspaces.requests import NewDomain, WorkspaceChange

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.settings import UsageSettingsService
    from opencode_cloud.workspaces.services import WorkspaceServices

OFFERED = 200
"""The most members that the form of a transfer offers."""
DOMAIN_ROLES = (Role.MEMBER, Role.VIEWER)


class SettingsPages:
    """Settings, each section for the roles that may change it."""

    PAGE: ClassVar[ConsolePage] = menu.SETTINGS

    def __init__(self, app: ConsoleApp, team: WorkspaceServices, usage: UsageSettingsService) -> None:
        self._app = app
        self._team = team
        self._usage = usage

    def mount(self) -> None:
        """Add every page."""
        routes = self._app.add(self.PAGE, self.show)
        get, post, domains, domain = routes.get, routes.post, Permission.DOMAIN_MANAGE, "/settings/domains/<domain_id>"
        post("/settings", self.change, Permission.WORKSPACE_UPDATE, self.show)
        post("/settings/usage", self.change_usage, Permission.WORKSPACE_UPDATE, self.show)
        post("/settings/domains", self.add_domain, domains, self.show)
        post(f"{domain}/verify", self.verify_domain, domains, self.show)
        get(f"{domain}/remove", self.ask_remove_domain, domains)
        post(f"{domain}/remove", self.remove_domain, domains, self.show)
        post("/settings/transfer", self.transfer, Permission.WORKSPACE_TRANSFER, self.show)
        post("/settings/leave", self.leave, Permission.WORKSPACE_READ, self.show)
        get("/settings/delete", self.ask_delete, Permission.WORKSPACE_DELETE)
        post("/settings/delete", self.delete, Permission.WORKSPACE_DELETE, self.ask_delete)

    def show(self, request: PageRequest, **_ids: str) -> Response[str]:
        """``GET .../settings``: the settings that the actor may see."""
        workspace_id, team = request.workspace.id, self._team
        # Others are offered no member, so that the list needs no reading.
        most = OFFERED if request.may(Permission.WORKSPACE_TRANSFER) else 0
        members = team.members.members_of(workspace_id, limit=most)
        reads_domains = request.may(Permission.DOMAIN_READ)
        return self._app.page(
            request,
            workspace=team.workspaces.get(workspace_id),
            usage=self._usage.get(workspace_id) if request.may(Permission.USAGE_READ) else None,
            domains=team.domains.of_workspace(workspace_id) if reads_domains else [],
            domain_roles=DOMAIN_ROLES,
            others=[each for each in members if each.id != request.actor.id],
        )

    def change(self, request: PageRequest) -> Response[str]:
        """``POST .../settings``: set the name, and the retention of the audit trail."""
        form = request.form
        values: dict[str, Any] = {"name": form.one("name")}
        if request.may(Permission.AUDIT_RETENTION):
            values["audit_retention_days"] = form.one("audit_retention_days")
        change = checked(WorkspaceChange, values).model_dump(exclude_none=True)
        self._team.workspaces.change(request.actor, request.workspace.id, form.version(), change)
        return see(f"{request.base}/settings?done=settings")

    def change_usage(self, request: PageRequest) -> Response[str]:
        """``POST .../settings/usage``: set how long metadata of calls is kept, and the headers of projects."""
        form = request.form
        values = {"metadata_days": form.one("metadata_days"), "project_headers": form.lines("project_headers")}
        change = checked(UsageSettingsChange, values)
        self._usage.change(request.actor, request.workspace.id, change.metadata_days, change.project_headers)
        return see(f"{request.base}/settings?done=settings")

    def add_domain(self, request: PageRequest) -> Response[str]:
        """``POST .../settings/domains``: claim a mail domain."""
        form = request.form
        values = {"domain": form.one("domain"), "role": form.one("role"), "auto_join": form.one("auto_join") == "on"}
        wanted = checked(NewDomain, values)
        self._team.domains.add(
            request.actor, request.workspace.id, wanted.domain, wanted.role, auto_join=wanted.auto_join
        )
        return see(f"{request.base}/settings?done=domain")

    def verify_domain(self, request: PageRequest, domain_id: DomainId) -> Response[str]:
        """``POST .../settings/domains/{domain_id}/verify``: look for the proof in DNS."""
        self._team.domains.verify(request.actor, request.workspace.id, domain_id)
        return see(f"{request.base}/settings?done=verified")

    def ask_remove_domain(self, request: PageRequest, domain_id: DomainId) -> Response[str]:
        """``GET .../settings/domains/{domain_id}/remove``: say what the removal does, and ask."""
        domain = self._team.domains.get(request.workspace.id, domain_id)
        return self._app.page(request, "remove_domain.html", domain=domain)

    def remove_domain(self, request: PageRequest, domain_id: DomainId) -> Response[str]:
        """``POST .../settings/domains/{domain_id}/remove``: give up a domain."""
        self._team.domains.remove(request.actor, request.workspace.id, domain_id)
        return see(f"{request.base}/settings?done=undomain")

    def transfer(self, request: PageRequest) -> Response[str]:
        """``POST .../settings/transfer``: make another member the owner."""
        self._check_name(request, "transfer_name")
        member = MemberId(request.form.one("member"))
        self._team.workspaces.transfer(request.actor, request.workspace.id, member)
        return see(f"{request.base}/settings?done=transferred")

    def leave(self, request: PageRequest) -> Response[str]:
        """``POST .../settings/leave``: end one's own membership."""
        self._check_name(request, "leave_name")
        self._team.members.leave(request.actor, request.workspace.id)
        return see(ROOT)

    def ask_delete(self, request: PageRequest) -> Response[str]:
        """``GET .../settings/delete``: say what the deletion does, and ask for the name."""
        workspace = self._team.workspaces.get(request.workspace.id)
        return self._app.page(request, "delete_workspace.html", workspace=workspace)

    def delete(self, request: PageRequest) -> Response[str]:
        """``POST .../settings/delete``: delete the workspace; an owner can restore it for some time."""
        self._check_name(request, "name")
        self._team.workspaces.delete(request.actor, request.workspace.id, request.form.version())
        return see(ROOT)

    def _check_name(self, request: PageRequest, field: str) -> None:
        """Raise :class:`InvalidForm` unless the person typed the workspace's name, so that no click is enough."""
        name = self._team.workspaces.get(request.workspace.id).name
        if request.form.one(field) != name:
            raise InvalidForm(
                [DocumentFault(path=f"/{field}", message=_("Type the name exactly: %(name)s", name=name))]
            )
