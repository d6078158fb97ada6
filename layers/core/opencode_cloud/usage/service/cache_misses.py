"""The loss of a session to misses of prompt caches, with the causes. It is found in the session's events on demand.

A call of an agent repeats the prompt of an earlier one. The vendor reads that part from its cache, or it is a miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from opencode_cloud.catalogue.pricing import RateTable, cost
from opencode_cloud.usage.models import CacheMiss, Dimension, MissCause, SessionCaching, StoredEvent
from opencode_cloud.usage.service.reader import checked, visible

if TYPE_CHECKING:
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.contracts.ids import WorkspaceId
    from opencode_cloud.contracts.usage import Tokens, UsageEvent
    from opencode_cloud.usage.models import Selection
    from opencode_cloud.usage.store.events import EventArchive

MOST_CALLS = 2000
"""Calls of a session in one answer, the earliest first."""
LEAST_TOKENS = 1024
"""A smaller difference is no miss: vendors cache in blocks, and prompts of this length at the least."""
RECENT = 200
"""Earlier calls with which a call is compared."""
_MINUTES_MS = 5 * 60_000
_HOUR_MS = 60 * 60_000


class PriceTables(Protocol):
    """The prices by which calls were charged."""

    def of(self, versions: Iterable[str]) -> Mapping[str, RateTable]:
        """Return the rates by the version in usage events. Unknown versions are left out."""
        ...


class CacheMisses:
    """Finds misses of prompt caches."""

    def __init__(self, archive: EventArchive, prices: PriceTables) -> None:
        self._archive = archive
        self._prices = prices

    def of(self, actor: Actor, workspace_id: WorkspaceId, session: str, selection: Selection) -> SessionCaching:
        """Return the misses of a session's calls; raises ``not_permitted`` or ``invalid_period``."""
        selection = msgspec.structs.replace(selection, only={**selection.only, Dimension.SESSION: session})
        selection = checked(visible(actor, selection))
        stored = self._archive.oldest(workspace_id, selection, None, MOST_CALLS + 1)
        calls = stored[:MOST_CALLS]
        found = list(_misses(calls))
        prices = self._prices.of({miss.stored.event.price for miss in found})
        misses = tuple(_priced(miss, prices) for miss in found)
        events = [each.event for each in calls]
        return SessionCaching(
            calls=len(events),
            complete=len(stored) <= MOST_CALLS,
            prompt_tokens=sum(event.tokens.prompt for event in events),
            read_tokens=sum(event.tokens.cache_read for event in events),
            lost_tokens=sum(miss.tokens for miss in misses),
            lost_cost=sum(miss.cost or 0 for miss in misses),
            misses=misses,
        )


def _misses(calls: Sequence[StoredEvent]) -> Iterator[CacheMiss]:
    """Yield the misses of calls, which are ordered by time."""
    sent: list[UsageEvent] = []
    for stored in calls:
        event = stored.event
        if event.estimated or not event.tokens.prompt:
            continue
        before = _repeated(event, sent)
        if before is not None:
            lost = before.tokens.prompt - event.tokens.cache_read
            if lost >= LEAST_TOKENS:
                yield CacheMiss(stored=stored, tokens=lost, cost=None, cause=_cause(event, before, sent))
        sent = [*sent[-RECENT + 1 :], event]


def _repeated(event: UsageEvent, sent: Sequence[UsageEvent]) -> UsageEvent | None:
    """Return the earlier call whose prompt a call continues: the longest one that is not longer; None: there is none.

    A session may have several conversations, of sub-agents, at once. A shorter prompt is another one, or a summary.
    """
    same = [earlier for earlier in sent if earlier.model == event.model]
    candidates = same or sent[-1:]
    fitting = [earlier for earlier in candidates if earlier.tokens.prompt <= event.tokens.prompt]
    return max(fitting, key=lambda earlier: (earlier.tokens.prompt, earlier.at), default=None)


def _cause(event: UsageEvent, before: UsageEvent, sent: Sequence[UsageEvent]) -> MissCause:
    if event.model != before.model:
        return MissCause.MODEL
    if _server(event) != _server(before):
        return MissCause.UPSTREAM
    there = [earlier for earlier in sent if _server(earlier) == _server(event)]
    if not any(map(_cached, (*(earlier.tokens for earlier in there), event.tokens))):
        return MissCause.UNCACHED
    if event.at < before.at + (before.total_ms if before.first_byte_ms is None else before.first_byte_ms):
        return MissCause.CONCURRENT
    lifetime = _HOUR_MS if any(earlier.tokens.cache_write_1h for earlier in there) else _MINUTES_MS
    idle = event.at - max(earlier.at + earlier.total_ms for earlier in there)
    return MissCause.EXPIRED if idle > lifetime else MissCause.CHANGED


def _server(event: UsageEvent) -> tuple[str, str]:
    return event.upstream, event.upstream_model


def _cached(tokens: Tokens) -> bool:
    return bool(tokens.cache_read or tokens.cache_write or tokens.cache_write_1h)


def _priced(miss: CacheMiss, prices: Mapping[str, RateTable]) -> CacheMiss:
    """Return a miss with its cost: the cost of the call less that of the same call with the lost tokens read."""
    event = miss.stored.event
    table = prices.get(event.price)
    if table is None:
        return miss
    left, changes = miss.tokens, dict[str, int]()
    for kind in ("cache_write_1h", "cache_write", "input"):  # a part that is missed is usually written again
        taken = min(left, getattr(event.tokens, kind))
        changes[kind] = getattr(event.tokens, kind) - taken
        left -= taken
    read = msgspec.structs.replace(event.tokens, cache_read=event.tokens.cache_read + miss.tokens - left, **changes)
    return msgspec.structs.replace(miss, cost=max(0, cost(table, event.tokens) - cost(table, read)))
