"""Calls without a credential, for models that the catalogue makes public. A stage must enable them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from opencode_cloud.access.service.inference import Caller
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.access import KnownCredentials, KnownWorkspace
from opencode_cloud.contracts.actor import ANONYMOUS
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Counter, KnownBudget
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId
from opencode_cloud.kit.networks import network_of

if TYPE_CHECKING:
    from opencode_cloud.gateway.models import Incoming

WORKSPACE = "anonymous"
"""The workspace id in usage events of anonymous calls. No real workspace id has this form."""


class Anonymous:
    """Limits of callers without a credential."""

    def __init__(self, *, allowed: bool, requests_a_day: int) -> None:
        """``requests_a_day``: for one IPv4 address, or one IPv6 network."""
        self.allowed = allowed
        self._requests = requests_a_day

    def caller(self) -> Caller:
        """Return the anonymous caller."""
        workspace = KnownWorkspace(id=WorkspaceId(WORKSPACE), name=WORKSPACE)
        return Caller(actor=ANONYMOUS, workspace=workspace, credentials=KnownCredentials())

    def counters(self, incoming: Incoming, at: int) -> list[Counter]:
        """Return the counter that limits the calls of an address. The address is stored as a hash only."""
        network = network_of(incoming.request.address)
        budget = KnownBudget(
            id=BudgetId("anonymous"),
            scope=BudgetScope.KEY,
            unit=BudgetUnit.REQUESTS,
            period=BudgetPeriod.DAY,
            limit=self._requests,
            name="your address",
            alerts=False,
        )
        return [counter(budget, at, hashlib.sha256(network.encode()).hexdigest()[:24])]
