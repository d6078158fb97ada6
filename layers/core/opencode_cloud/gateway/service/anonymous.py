"""Calls without a credential, of models that the catalogue opens to everybody; off unless the stage allows them."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

from opencode_cloud.access.service.inference import Caller
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.access import KnownCredentials, KnownWorkspace
from opencode_cloud.contracts.actor import ANONYMOUS
from opencode_cloud.contracts.budgets import Counter, KnownBudget, Period, Scope, Unit
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId

if TYPE_CHECKING:
    from opencode_cloud.gateway.models import Incoming

WORKSPACE = "anonymous"
"""Under which usage of anonymous calls is kept; no workspace's id has this form."""
IPV6_NETWORK = 64


class Anonymous:
    """What callers without a credential may do."""

    def __init__(self, *, allowed: bool, requests_a_day: int) -> None:
        """``requests_a_day``: of one address, or of one network of IPv6."""
        self.allowed = allowed
        self._requests = requests_a_day

    def caller(self) -> Caller:
        """Return who calls: nobody."""
        workspace = KnownWorkspace(id=WorkspaceId(WORKSPACE), name=WORKSPACE)
        return Caller(actor=ANONYMOUS, workspace=workspace, credentials=KnownCredentials())

    def counters(self, incoming: Incoming, at: int) -> list[Counter]:
        """Return what bounds the calls of an address; it is kept as a hash."""
        network = _network(incoming.request.address)
        budget = KnownBudget(
            id=BudgetId("anonymous"),
            scope=Scope.KEY,
            unit=Unit.REQUESTS,
            period=Period.DAY,
            limit=self._requests,
            name="your address",
            alerts=False,
        )
        return [counter(budget, at, hashlib.sha256(network.encode()).hexdigest()[:24])]


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, IPV6_NETWORK), strict=False))
    return str(found)
