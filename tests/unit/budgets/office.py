"""Budgets over the real database. The test sets their usage, and webhooks go to a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

from sqlalchemy import select

from opencode_cloud.access.credentials import hash_of_key
from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.access.store.projection_source import ProjectionSource
from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.budgets.service.alert_notifier import AlertNotifier
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.service.budgets import BudgetService
from opencode_cloud.budgets.service.settings import UsageSettingsService
from opencode_cloud.budgets.service.webhooks import Webhooks
from opencode_cloud.budgets.store.alerts import AlertStore
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.contracts.access import KnownKey, KnownMember, KnownServiceAccount, KnownWorkspace
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.budgets import BudgetUsage, KnownBudget
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore
from opencode_cloud.policies.service import Compiler
from opencode_cloud.policies.store import DocumentStore
from opencode_cloud.schema.mail import mails
from opencode_cloud.webhooks.service.announcing import Announcer
from opencode_cloud.webhooks.service.sending import DeliveryLog, DeliverySender
from opencode_cloud.webhooks.store.deliveries import DeliveryStore
from tests.unit.workspaces.team import KEY
from tests.unit.workspaces.team import Place as TeamPlace


@dataclass
class Office:
    """A team with budgets."""

    place: TeamPlace
    stands: dict[str, BudgetUsage] = field(default_factory=dict[str, BudgetUsage])
    posts: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list[Any])
    status: int | None = 200
    """The status of the answers of webhooks; None: there is no answer."""
    together: Barrier | None = None
    """A barrier at which posts wait for each other."""

    def __post_init__(self) -> None:
        database, outbox = self.place.database, self.place.outbox
        audit, budgets, alerts = AuditTrail(AuditStore()), BudgetStore(), AlertStore()
        self.budgets = BudgetService(database, outbox, audit, budgets, self)
        self.balance = Balance(database, outbox, audit, budgets)
        self.settings = UsageSettingsService(database, outbox, audit, budgets)
        deliveries = DeliveryStore()
        announcer = Announcer(deliveries)
        self.webhooks = Webhooks(database, outbox, audit, alerts, budgets, announcer, lambda: KEY)
        self.alerts = AlertNotifier(database, outbox, Mailer(MailStore(database)), alerts, announcer)
        self.sender = DeliverySender(database, deliveries, self, lambda: KEY, alerts.mark_accepted)
        self.log = DeliveryLog(database, deliveries)
        self._truth = ProjectionSource(Compiler(DocumentStore(database)))

    def of(self, keys: Sequence[str]) -> Mapping[str, BudgetUsage]:
        return {key: self.stands.get(key.split("#")[1], BudgetUsage()) for key in keys}

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        if self.together is not None:
            self.together.wait()
        self.posts.append((url, headers, body))
        return self.status

    # --------------------------------------------------------------------------------- what the gateway will know

    def known_to_workspace(self, workspace: str) -> tuple[KnownBudget, ...]:
        return self.known_workspace(workspace).budgets

    def known_workspace(self, workspace: str) -> KnownWorkspace:
        return self._known(ProjectionKey(ProjectionKind.WORKSPACE, workspace), KnownWorkspace)

    def known_to_member(self, actor: Actor) -> tuple[KnownBudget, ...]:
        return self._known(
            ProjectionKey(ProjectionKind.MEMBER, actor.id, actor.workspace_id, actor.account_id), KnownMember
        ).budgets

    def known_to_machine(self, workspace: str, account: str) -> tuple[KnownBudget, ...]:
        return self._known(
            ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, account, WorkspaceId(workspace)), KnownServiceAccount
        ).budgets

    def known_to_key(self, secret: str) -> tuple[KnownBudget, ...]:
        return self._known(ProjectionKey(ProjectionKind.KEY, hash_of_key(secret).hex()), KnownKey).budgets

    def _known(self, place: ProjectionKey, kind: type[Any]) -> Any:
        with self.place.database.transaction() as connection:
            found = self._truth.at(connection, place)
        assert isinstance(found, kind)
        return found

    def letters(self) -> list[tuple[str, dict[str, Any]]]:
        """Return recipients and variables of the queued alerts."""
        query = select(mails.c.recipient, mails.c.variables).where(mails.c.template == "budget-alert")
        with self.place.database.transaction() as connection:
            return [(row.recipient, row.variables) for row in connection.execute(query.order_by(mails.c.id))]
