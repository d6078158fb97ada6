"""Calls without a credential, for models that the catalogue makes public. A stage must enable them."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

from opencode_cloud.access.service.inference import Caller
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.access import KnownCredentials, KnownWorkspace
from opencode_cloud.contracts.actor import ANONYMOUS
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Counter, KnownBudget
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId

if TYPE_CHECKING:
    from opencode_cloud.gateway.models import Incoming

WORKSPACE = "anonymous"
"""The workspace id in usage events of anonymous calls. No real workspace id has this form."""
IPV6_NETWORK = 64
"""Prefix bits of an IPv6 network that counts as one caller: providers assign at least a /64 to each customer."""


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
        network = _network(incoming.request.address)
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


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
    return str(parsed)
