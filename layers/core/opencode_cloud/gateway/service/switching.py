"""Another model for a call, where the workspace's policy has a chain for the reason.

The chain names the models in order. Each must be permitted to the caller like a requested model. Its worst-case cost
replaces that of the model before it in one transaction, so a call holds one reservation at any time. Once a model has
generated something, the call stays with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from opencode_cloud.contracts.access import FallbackChain, FallbackReason
from opencode_cloud.contracts.budgets import BudgetExhausted
from opencode_cloud.kit import log
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.budgets.service import Reservations
    from opencode_cloud.gateway.service.admission import CallAdmission
    from opencode_cloud.gateway.service.call_state import CallState


class ModelSwitching:
    """Reserves a call for the model that serves it."""

    def __init__(self, admission: CallAdmission, budgets: Reservations) -> None:
        self._admission = admission
        self._budgets = budgets

    async def reserve(self, state: CallState) -> CallState:
        """Reserve the call for its model, or for a cheaper one if a budget is nearly used up and a chain says so.

        Raises the errors of :meth:`Reservations.reserve` for the requested model if no model of the chain fits either.
        """
        chain = _chain(state, FallbackReason.BUDGET)
        if chain is None:
            await self._budgets.reserve(state.reservation, state.event())
            return state
        full = await self._budgets.used_percent(state.reservation) >= chain.budget_percent
        if full and (cheaper := await self._reserved_cheaper(state)):
            return cheaper
        try:
            await self._budgets.reserve(state.reservation, state.event())
        except BudgetExhausted:
            cheaper = None if full else await self._reserved_cheaper(state)
            if cheaper is None:
                raise
            return cheaper
        return state

    async def after(self, state: CallState, reason: FallbackReason) -> CallState | None:
        """Return the call with the next model of its chain, which has its reservation; None without such a model."""
        async for other in self._others(state, reason):
            try:
                exchanged = await self._budgets.exchange(state.reservation, other.reservation, other.event())
            except ServiceError as error:
                logger.info("a fallback does not fit", extra={"call": state.id, "error": error.code})
                continue
            if not exchanged:
                return None
            return _noted(other)
        return None

    async def _reserved_cheaper(self, state: CallState) -> CallState | None:
        async for other in self._others(state, FallbackReason.BUDGET):
            if other.reservation.claim.cost >= state.reservation.claim.cost:
                continue
            try:
                await self._budgets.reserve(other.reservation, other.event())
            except BudgetExhausted:
                continue
            return _noted(other)
        return None

    async def _others(self, state: CallState, reason: FallbackReason) -> AsyncIterator[CallState]:
        """Yield the call with each further model of its chain that may serve it."""
        chain = _chain(state, reason)
        for name in chain.to if chain else ():
            other = await self._admission.with_model(state, name, reason)
            if other is None:
                continue
            if reason is FallbackReason.CONTEXT and _longest_prompt(other) <= _longest_prompt(state):
                continue
            # A call with the workspace's own key never continues at the platform's cost.
            if state.targets[0].byok and not other.targets[0].byok:
                continue
            yield other


def _chain(state: CallState, reason: FallbackReason) -> FallbackChain | None:
    """Return the policy's chain of the requested model for a reason."""
    chains = state.caller.workspace.policy.fallbacks
    return next((each for each in chains if each.model == state.requested_name and reason in each.when), None)


def _longest_prompt(state: CallState) -> int:
    return state.model.limits.input or state.model.limits.context


def _noted(state: CallState) -> CallState:
    log.count("Fallbacks")
    logger.info(
        "another model serves a call",
        extra={
            "call": state.id,
            "requested": state.requested_model,
            "model": state.model.id,
            "reason": state.fallback,
            "correlation_id": state.incoming.request.correlation_id,
        },
    )
    return state
