"""The operators' commands, which ``functions/operate`` executes.

IAM is the authorization: every principal that may invoke the function is an operator. Every change is audited under
the name that the command line sends, the ARN of the caller. A caller can send a false name; CloudTrail records the
principal that invoked the function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from opencode_cloud.audit.service import Recorder
from opencode_cloud.billing.commands import BillingCommand, execute_billing_command, show_transaction
from opencode_cloud.billing.models.errors import billing_off
from opencode_cloud.catalogue.commands import CatalogueCommand, execute_catalogue_command
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.identity.models import Account, VerifiedPerson
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit.errors import Conflict, ServiceError
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.timestamps import to_utc
from opencode_cloud.operators.directory import Directory, canonical
from opencode_cloud.payments.commands import RefundCommand, execute_refund_command
from opencode_cloud.usage.commands import UsageCommand, execute_usage_command

if TYPE_CHECKING:
    from opencode_cloud.access.service.projection import Projection
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.billing.services import BillingServices
    from opencode_cloud.budgets.service.balance import Balance
    from opencode_cloud.catalogue.service.publishing import CataloguePublisher
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.operators.ports import AccountDirectory, TokenSigners
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.payments.service.refund_orders import RefundOrders
    from opencode_cloud.policies.service import WellKnown
    from opencode_cloud.usage.service import Reconciliation
    from opencode_cloud.workspaces.services import WorkspaceServices


class LookUp(msgspec.Struct, tag="look-up"):
    """Show a person by address or id, or a workspace by id."""

    subject: str


class CreateWorkspace(msgspec.Struct, tag="create-workspace"):
    """Create a workspace for a person, and an account if they have none."""

    name: str
    owner: str


class FirstOwner(msgspec.Struct, tag="first-owner"):
    """Create the first account of a new deployment, with a workspace."""

    email: str
    workspace: str
    base: str


class CreateServiceAccountKey(msgspec.Struct, tag="create-key"):
    """Create a service account with a key."""

    workspace: WorkspaceId
    name: str
    scopes: list[KeyScope]


class Block(msgspec.Struct, tag="block"):
    """Block a person or a workspace, or unblock it."""

    subject: str
    blocked: bool


class GrantBalance(msgspec.Struct, tag="grant"):
    """Add money to a workspace's prepaid balance, or subtract some; once for each idempotency key."""

    workspace: WorkspaceId
    micro_cents: int
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    ends_at: datetime | None = None
    """When the money cannot be spent any more: UTC, if it has no zone. Only a ledger knows ends."""


class Project(msgspec.Struct, tag="project"):
    """Project all rows again, or those of one workspace."""

    workspace: WorkspaceId | None = None


class RotateSigningKey(msgspec.Struct, tag="rotate-signing-key"):
    """Make the other key the signing key of access tokens. Tokens of the present key stay valid."""


class PublishWellKnown(msgspec.Struct, tag="well-known"):
    """Publish the initial configuration of clients that log in by ``opencode auth login``, or reset it to the default.

    With neither, show the document.
    """

    config: dict[str, Any] | None = None
    default: bool = False


Command = (
    LookUp
    | CreateWorkspace
    | FirstOwner
    | CreateServiceAccountKey
    | Block
    | GrantBalance
    | Project
    | RotateSigningKey
    | PublishWellKnown
    | CatalogueCommand
    | UsageCommand
    | BillingCommand
    | RefundCommand
)


class Invocation(msgspec.Struct):
    """The event that the command line sends."""

    operator: str
    command: Command


class Operations:
    """Executes commands."""

    def __init__(
        self,
        outbox: Outbox,
        accounts: AccountDirectory,
        team: WorkspaceServices,
        audit: AuditTrail,
        mailer: Mailer,
        projection: Projection,
        signing_keys: TokenSigners,
        well_known: WellKnown,
        catalogue: CataloguePublisher,
        project_catalogue: Callable[[], object],
        balance: Balance,
        reconciliation: Reconciliation,
        billing: BillingServices | None = None,
        refunds: RefundOrders | None = None,
    ) -> None:
        """``project_catalogue`` activates the latest catalogue, even over a later one that a restore has lost.

        Without ``billing`` and ``refunds``, the deployment keeps no ledger.
        """
        self._outbox = outbox
        self._accounts = accounts
        self._team = team
        self._audit = audit
        self._record = Recorder[Account](audit, "account", lambda row: row.id, lambda row: row.email)
        self._directory = Directory(outbox, accounts, team, audit)
        self._mailer = mailer
        self._projection = projection
        self._signing_keys = signing_keys
        self._well_known = well_known
        self._catalogue = catalogue
        self._project_catalogue = project_catalogue
        self._refunds = refunds
        self._balance = balance
        self._reconciliation = reconciliation
        self._billing = billing

    def handle(self, event: Mapping[str, Any], correlation_id: str) -> dict[str, Any]:
        """Execute one invocation; return ``{"result": ...}`` or ``{"error": code, "message": ...}``."""
        try:
            invocation = msgspec.convert(event, Invocation)
        except msgspec.ValidationError as error:
            return {"error": "invalid_command", "message": str(error)}
        actor = Actor(
            kind=ActorKind.OPERATOR,
            credential=CredentialKind.OPERATOR,
            name=invocation.operator,
            role=Role.OWNER,
            correlation_id=correlation_id,
        )
        try:
            return {"result": self._carry_out(invocation.command, actor)}
        except ServiceError as error:
            return {"error": error.code, "message": error.message}

    def _carry_out(self, command: Command, actor: Actor) -> Any:
        logger.info("operator's command", extra={"operator": actor.name, "command": type(command).__name__})
        match command:
            case LookUp():
                return self._directory.look_up(command.subject)
            case CreateWorkspace():
                return self._create_workspace(command, actor)
            case FirstOwner():
                return self._first_owner(command, actor)
            case CreateServiceAccountKey():
                return self._create_key(command, actor)
            case Block():
                return self._directory.block(actor, command.subject, blocked=command.blocked)
            case GrantBalance():
                return self._grant(command, actor)
            case _:
                return self._keep(command, actor)

    def _keep(
        self,
        command: Project
        | RotateSigningKey
        | PublishWellKnown
        | CatalogueCommand
        | UsageCommand
        | BillingCommand
        | RefundCommand,
        actor: Actor,
    ) -> Any:
        """Execute a command about the deployment itself, or about its books."""
        match command:
            case Project():
                return self._project(command, actor)
            case RotateSigningKey():
                return self._rotate(actor)
            case PublishWellKnown():
                return self._publish_well_known(command, actor)
            case CatalogueCommand():
                return execute_catalogue_command(command, self._catalogue, actor)
            case UsageCommand():
                return execute_usage_command(command, self._reconciliation)
            case BillingCommand():
                if self._billing is None:
                    raise billing_off()
                return execute_billing_command(command, self._billing, actor)
            case RefundCommand():
                if self._refunds is None:
                    raise billing_off()
                return execute_refund_command(command, self._refunds, actor)

    # --------------------------------------------------------------------------------------- changing

    def _create_workspace(self, command: CreateWorkspace, actor: Actor) -> dict[str, Any]:
        with self._outbox.unit() as unit:
            return self._create_for(unit, actor, command.owner, command.name)

    def _first_owner(self, command: FirstOwner, actor: Actor) -> dict[str, Any]:
        with self._outbox.unit() as unit:
            if self._accounts.count(unit.connection):
                raise Conflict(
                    "not_fresh", "This deployment already has accounts. Use create-workspace with --owner instead."
                )
            owner = self._create_for(unit, actor, command.email, command.workspace)
            variables = {"workspace": command.workspace, "base": command.base}
            self._mailer.queue(unit, Template.WELCOME_OWNER, command.email, variables, owner["workspace"])
            return owner

    def _create_for(self, unit: UnitOfWork, actor: Actor, email: str, name: str) -> dict[str, Any]:
        """Create a workspace for ``email``, and an account if there is none. A sign-in with this address uses it."""
        account = self._accounts.by_address(unit.connection, canonical(email))
        if account is None:
            account = self._accounts.add(unit.connection, VerifiedPerson(provider="", subject="", email=email))
            if account is None:
                raise Conflict("account_exists", "An account with this e-mail address was just created. Try again.")
            unit.emit(Topic.ACCOUNT, account.id)
            self._record(unit, actor, "account.created", None, account)
        workspace = self._team.workspaces.create_in_unit(unit, account.id, account.email, name, actor=actor)
        return {"account": account.id, "email": account.email, "workspace": workspace.id, "name": workspace.name}

    def _create_key(self, command: CreateServiceAccountKey, actor: Actor) -> dict[str, Any]:
        service_account = self._team.service_accounts.create(actor, command.workspace, command.name)
        new_key = CreateKey(name=command.name, scopes=command.scopes, service_account_id=service_account.id)
        key = self._team.keys.create(actor, command.workspace, new_key)
        return {"service_account": service_account.id, **key.model_dump(mode="json")}

    def _grant(self, command: GrantBalance, actor: Actor) -> dict[str, Any]:
        """Grant credit: in the ledger, if the deployment keeps one."""
        terms = (actor, command.workspace, command.micro_cents, command.reason, command.key)
        if self._billing is None:
            if command.ends_at is not None:
                raise billing_off()
            return self._balance.grant(*terms).model_dump(mode="json")
        self._team.workspaces.look_up(command.workspace)
        ends_at = None if command.ends_at is None else to_utc(command.ends_at)
        return show_transaction(self._billing.credits.grant(*terms, ends_at))

    def _project(self, command: Project, actor: Actor) -> dict[str, Any]:
        rows = self._projection.project_all(command.workspace)
        if command.workspace is None:
            self._project_catalogue()
        target = Target("workspace" if command.workspace else "deployment", command.workspace or "all")
        with self._outbox.unit() as unit:
            self._audit.record(
                unit.connection,
                actor,
                "projection.renewed",
                target,
                workspace_id=command.workspace,
                after={"rows": rows},
            )
        return {"rows": rows}

    def _publish_well_known(self, command: PublishWellKnown, actor: Actor) -> Any:
        before = self._well_known.published()
        if command.config is not None:
            self._well_known.publish(command.config)
        elif command.default:
            self._well_known.publish_default()
        else:
            return before
        after = self._well_known.published()
        with self._outbox.unit() as unit:
            target = Target("well_known", ".well-known/opencode")
            configs = [{"config": (document or {}).get("config")} for document in (before, after)]
            self._audit.record(
                unit.connection, actor, "well_known.published", target, before=configs[0], after=configs[1]
            )
        return after

    def _rotate(self, actor: Actor) -> dict[str, Any]:
        before = self._signing_keys.active_now()
        other_keys = following(self._signing_keys.ids, before)
        if not other_keys:
            raise Conflict("no_other_key", "This deployment has only one signing key. Add another one to the stack.")
        with self._outbox.unit() as unit:
            target = Target("signing_key", other_keys[0])
            self._audit.record(
                unit.connection,
                actor,
                "signing_key.activated",
                target,
                before={"key": before},
                after={"key": other_keys[0]},
            )
            self._signing_keys.activate(other_keys[0])
        return {"signs": other_keys[0], "signed": before}


def following(keys: Sequence[str], current: str) -> list[str]:
    """Return the other keys in their order, starting after ``current``."""
    position = list(keys).index(current)
    return [*keys[position + 1 :], *keys[:position]]
