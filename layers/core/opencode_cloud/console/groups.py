"""The pages of groups: all groups; one group with its members, its budgets and the rules for its models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.budgets import PERIODS, UNITS, group_subjects, row_of
from opencode_cloud.console.forms import InvalidForm, checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import GroupId, MemberId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit.etags import check_version
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_id, page_of
from opencode_cloud.workspaces.requests import MOST_AT_ONCE, GroupChange, GroupMembersChange, NewGroup

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.budgets import BudgetService
    from opencode_cloud.workspaces.service import Groups

LONGEST_SEARCH = 100
_SEPARATORS = re.compile(r"[\s,;]+")


class GroupPages:
    """Pages of groups."""

    PAGE: ClassVar[ConsolePage] = menu.GROUPS

    def __init__(self, app: ConsoleApp, groups: Groups, budgets: BudgetService) -> None:
        self._app = app
        self._groups = groups
        self._budgets = budgets

    def mount(self) -> None:
        """Add every page."""
        routes = self._app.add(self.PAGE, self.show)
        get, post, one, manage = routes.get, routes.post, "/groups/<group_id>", Permission.GROUP_MANAGE
        post("/groups", self.create, manage, self.show)
        get(one, self.one, Permission.MEMBER_READ)
        post(one, self.change, manage, self.one)
        post(f"{one}/members", self.add_members, manage, self.one)
        post(f"{one}/members/remove", self.remove_members, manage, self.one)
        get(f"{one}/delete", self.ask_delete, manage)
        post(f"{one}/delete", self.delete, manage, self.ask_delete)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../groups?search=...``: groups, and a form for a new one."""
        search = request.query("search")[:LONGEST_SEARCH]
        after = decode_id(request.query("cursor"))
        rows = self._groups.of_workspace(request.workspace.id, search=search, after=after, limit=DEFAULT_LIMIT + 1)
        groups = page_of(rows, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row)
        return self._app.page(request, groups=groups, search=search)

    def create(self, request: PageRequest) -> Response[str]:
        """``POST .../groups``: create a group, and go to its page."""
        wanted = checked(NewGroup, {"name": request.form.one("name")})
        group = self._groups.create(request.actor, request.workspace.id, wanted.name)
        return see(f"{request.base}/groups/{group.id}?done=group")

    def one(self, request: PageRequest, group_id: GroupId) -> Response[str]:
        """``GET .../groups/{group_id}``: the group's members, budgets and models, and the forms that change them."""
        workspace_id = request.workspace.id
        group = self._groups.get(workspace_id, group_id)
        after = decode_id(request.query("cursor"))
        members = self._groups.members_of(workspace_id, group_id, after, DEFAULT_LIMIT + 1)
        budgets = self._budgets.of_workspace(request.actor, workspace_id, subject=group_id, limit=DEFAULT_LIMIT)
        return self._app.page(
            request,
            "group.html",
            group=group,
            members=page_of(members, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row),
            budgets=[row_of(each) for each in budgets],
            subjects=group_subjects(group),
            units=UNITS,
            periods=PERIODS,
        )

    def change(self, request: PageRequest, group_id: GroupId) -> Response[str]:
        """``POST .../groups/{group_id}``: set the name and the rules for models."""
        form = request.form
        allow = form.lines("allow")
        models = {"allow": allow or None, "deny": form.lines("deny")}
        try:
            change = checked(GroupChange, {"name": form.one("name"), "models": models})
        except InvalidForm as error:
            # The fields of the form are named after the lists.
            faults = [
                DocumentFault(path=fault.path.removeprefix("/models"), message=fault.message) for fault in error.faults
            ]
            raise InvalidForm(faults) from error
        self._groups.change(request.actor, request.workspace.id, group_id, form.version(), change)
        return see(f"{request.base}/groups/{group_id}?done=changedgroup")

    def add_members(self, request: PageRequest, group_id: GroupId) -> Response[str]:
        """``POST .../groups/{group_id}/members``: put the members with these addresses into the group."""
        addresses = list(dict.fromkeys(filter(None, _SEPARATORS.split(request.form.one("email")))))
        if not addresses or len(addresses) > MOST_AT_ONCE:
            words = _("Write 1 to {most} e-mail addresses").format(most=MOST_AT_ONCE)
            raise InvalidForm([DocumentFault(path="/email", message=words)])
        members, unknown = self._groups.members_at(request.workspace.id, addresses)
        if unknown:
            words = gettext_noop("These are no members of the workspace. Invite them first:")
            raise InvalidForm([DocumentFault(path="/email", message=f"{_(words)} {', '.join(unknown)}")])
        self._groups.change_members(request.actor, request.workspace.id, group_id, members)
        return see(f"{request.base}/groups/{group_id}?done=grouped")

    def remove_members(self, request: PageRequest, group_id: GroupId) -> Response[str]:
        """``POST .../groups/{group_id}/members/remove``: take the marked members out of the group."""
        wanted = checked(GroupMembersChange, {"remove": request.form.many("member")})
        if not wanted.remove:
            return see(f"{request.base}/groups/{group_id}?done=samemembers")
        removed = [MemberId(each) for each in wanted.remove]
        self._groups.change_members(request.actor, request.workspace.id, group_id, [], removed)
        return see(f"{request.base}/groups/{group_id}?done=grouped")

    def ask_delete(self, request: PageRequest, group_id: GroupId) -> Response[str]:
        """``GET .../groups/{group_id}/delete``: say what the deletion does, and ask for the name."""
        group = self._groups.get(request.workspace.id, group_id)
        budgets = self._budgets.of_workspace(request.actor, request.workspace.id, subject=group_id, limit=DEFAULT_LIMIT)
        return self._app.page(request, "delete_group.html", group=group, budgets=[row_of(each) for each in budgets])

    def delete(self, request: PageRequest, group_id: GroupId) -> Response[str]:
        """``POST .../groups/{group_id}/delete``: delete the group if its name was typed."""
        group, version = self._groups.get(request.workspace.id, group_id), request.form.version()
        check_version(version, group.version)
        if request.form.one("name") != group.name:
            raise InvalidForm([DocumentFault(path="/name", message=gettext_noop("Type the name of the group"))])
        self._groups.delete(request.actor, request.workspace.id, group_id, version)
        return see(f"{request.base}/groups?done=ungrouped")
