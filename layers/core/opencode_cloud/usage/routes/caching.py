"""`/api/v1/workspaces/{workspace}/usage/sessions/{session}/cache-misses`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.instants import Instant
from opencode_cloud.usage.models import CacheMiss, MissCause
from opencode_cloud.usage.routes.queries import Filters
from opencode_cloud.usage.routes.sheet import TAG
from opencode_cloud.usage.routes.views import MicroCents

if TYPE_CHECKING:
    from opencode_cloud.usage.service.cache_misses import CacheMisses


class MissedCache(BaseModel):
    """A call that read less of its prompt from a cache than an earlier call of the session had sent."""

    call_id: str
    at: Instant
    model: str
    upstream: str
    tokens: int = Field(description="Tokens that an earlier call had sent, and that were not read from a cache.")
    cost: MicroCents | None = Field(description="The saving of a read; null if the price is not known.")
    cause: MissCause = Field(
        description="`upstream`, `model`: another one served the earlier call. `expired`: the pause was longer than "
        "the cache lives. `concurrent`: the earlier call had not been answered yet. `uncached`: nothing of the session "
        "is cached there. `changed`: the client changed the beginning of the prompt, or the upstream dropped its cache."
    )


class SessionCache(BaseModel):
    """How well the calls of a session used prompt caches."""

    calls: int
    complete: bool = Field(description="False if the session has more calls in the period than were looked at.")
    prompt_tokens: int
    cache_read_tokens: int
    lost_tokens: int
    lost_cost: MicroCents = Field(description="The sum over the calls whose price is known.")
    data: list[MissedCache] = Field(description="The calls that lost something, the earliest first.")


class CachingRoutes:
    """Routes of prompt caches."""

    def __init__(self, misses: CacheMisses, gate: Gate) -> None:
        self._misses = misses
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        path = f"GET {WORKSPACE}/usage/sessions/<session>/cache-misses"
        self._gate.add(path, self.get, Permission.USAGE_OWN, "Find what a session lost to cache misses", TAG)

    def get(self, workspace_id: WorkspaceId, session: str, asked: Filters) -> Response[SessionCache]:
        """Find the calls of a session that paid for a part of the prompt that a cache could have held, with the cause.

        A session is named as in events. The sums are of the calls that were looked at: the first 2000 in the period.
        """
        found = self._misses.of(self._gate.actor, workspace_id, session, asked.selection())
        return document(
            SessionCache(
                calls=found.calls,
                complete=found.complete,
                prompt_tokens=found.prompt_tokens,
                cache_read_tokens=found.read_tokens,
                lost_tokens=found.lost_tokens,
                lost_cost=found.lost_cost,
                data=[_show(miss) for miss in found.misses],
            )
        )


def _show(miss: CacheMiss) -> MissedCache:
    event = miss.stored.event
    return MissedCache(
        call_id=event.id,
        at=miss.stored.at,
        model=event.model,
        upstream=event.upstream,
        tokens=miss.tokens,
        cost=miss.cost,
        cause=miss.cause,
    )
