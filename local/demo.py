"""A demo workspace for the local stage (`DEMO=1 make dev`): people, roles, rules, models, and two months of calls.

Runs in a process of its own with the environment of the deployed function `console`, over the same services, so what it
makes is what people would have made by signing in and clicking; also in the audit trail.
"""

from __future__ import annotations

import subprocess
import sys

from msgspec.structs import replace

from local.demo_shares import publish
from local.stack import LocalStack
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.money import CENT

OWNER = "ada@example.com"
PEOPLE = {"grace@example.com": "admin", "linus@example.com": "member", "vera@example.com": "viewer"}
NAME = "Demo"
PROVIDER = "opencode-cloud"
"""The gateway's name for clients, as the starting catalogue has it."""
POLICY = {
    "share": {"mode": "workspace", "max_lifetime_seconds": 30 * 86_400},
    # A tool that no client offers by itself: one that does would be refused with a bare key.
    "tools": {"deny": ["playwright_*"]},
}
CREDIT = 25 * 100 * CENT
"""Micro-cents that the workspace can spend where the stage keeps a ledger."""
CONFIGURATION = {"instructions": ["CONTRIBUTING.md"], "permission": {"bash": "ask"}}


MADE = "made with the key "
"""The beginning of the line by which the process that makes the demo passes on a key of its owner."""


class DemoFailed(Exception):
    """The demo workspace could not be created. The message has the reason."""


def seed(stack: LocalStack, default_model: str = "") -> None:
    """Create the demo workspace on the running `stack`, unless it exists.

    Clients begin with `default_model`, an id of the catalogue; with none, they choose.

    Raises:
        DemoFailed: With the end of the seeding process's output.
    """
    name = stack.outputs["ConsoleFunctionName"]
    deployed = stack.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    environment = {**stack.deployment.environment, **deployed}
    command = [sys.executable, "-m", "local.demo", *([default_model] if default_model else [])]
    done = subprocess.run(command, cwd=stack.root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoFailed(f"The demo workspace could not be made.\n{done.stderr[-2000:]}")
    # Without a line, the demo was there already.
    for line in filter(lambda line: line.startswith(MADE), done.stdout.splitlines()):
        try:
            publish(stack.url, line.removeprefix(MADE))
        except OSError as error:
            raise DemoFailed(f"The demo's sessions could not be shared: {error}") from error


def main() -> None:
    """Create people, workspace and documents, in the environment of the function `console`."""
    # Import here only, because these modules create AWS clients from the environment when they are imported.
    from local.demo_life import DemoLife
    from opencode_cloud.composition.console import ConsoleSettings
    from opencode_cloud.composition.control_plane import ControlPlane, workspaces
    from opencode_cloud.composition.services.billing import billing_services
    from opencode_cloud.composition.services.budgets import budget_services
    from opencode_cloud.identity.models import VerifiedPerson
    from opencode_cloud.identity.service.methods import Methods
    from opencode_cloud.identity.service.signing_in import SigningIn
    from opencode_cloud.identity.store.accounts import AccountsStore
    from opencode_cloud.kit.settings import load
    from opencode_cloud.policies.models import Versioned

    settings = load(ConsoleSettings)
    plane = ControlPlane(settings)
    team = workspaces(plane, settings)
    signing_in = SigningIn(plane.outbox, AccountsStore(), plane.audit, team.workspaces, team.invitations)
    methods = Methods.parse(settings.login_methods, "{}")

    def account(email: str) -> AccountId:
        person = VerifiedPerson(provider="email", subject=email, email=email, name=email.partition("@")[0].title())
        return signing_in.account_of(person, methods, "127.0.0.1", "demo")

    if not plane.catalogue_publisher.current().number:
        plane.catalogue_publisher.restore(_operator(), 0)
    owner = _actor(account(OWNER), OWNER)
    if any(each.name == NAME for each in team.workspaces.memberships(owner.account_id)):
        return
    workspace = team.workspaces.create(owner, NAME).id
    mine = next(each for each in team.workspaces.memberships(owner.account_id) if each.id == workspace)
    acting = replace(_actor(owner.account_id, OWNER, workspace), id=mine.member_id)
    for email, role in PEOPLE.items():
        invitation = team.invitations.invite(acting, workspace, email, Role(role))
        team.invitations.accept(_actor(account(email), email), invitation.id)
    if billing := billing_services(plane.database, plane.outbox, plane.audit, enabled=settings.billing):
        billing.credits.grant(_operator(), workspace, CREDIT, "Demo", "demo")
    policy = POLICY | {"default_model": f"{PROVIDER}/{sys.argv[1]}"} if sys.argv[1:] else POLICY
    plane.publisher.publish(acting, workspace, Versioned.POLICY, policy, 0, "Demo")
    plane.publisher.publish(acting, workspace, Versioned.CONFIGURATION, CONFIGURATION, 0, "Demo")
    budgets = budget_services(plane.database, plane.outbox, plane.deployment_key, settings.budgets_table)
    members = [each.id for each in team.members.members_of(workspace) if each.role != Role.VIEWER]
    key = DemoLife(plane, team, budgets, settings.budgets_table, acting, members).write()
    sys.stdout.write(f"{MADE}{key}\n")


def _operator() -> Actor:
    return Actor(kind=ActorKind.OPERATOR, credential=CredentialKind.OPERATOR, name="demo", correlation_id="demo")


def _actor(account_id: AccountId, email: str, workspace_id: WorkspaceId | None = None) -> Actor:
    return Actor(
        kind=ActorKind.MEMBER if workspace_id else ActorKind.ACCOUNT,
        credential=CredentialKind.SESSION,
        id=account_id,
        name=email,
        account_id=account_id,
        workspace_id=workspace_id or WorkspaceId(""),
        role=Role.OWNER if workspace_id else "",
        address="127.0.0.1",
        correlation_id="demo",
    )


if __name__ == "__main__":
    main()
