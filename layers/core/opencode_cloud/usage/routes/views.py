"""Documents of usage in the API. Amounts are integer micro-cents: US$1 is 100,000,000."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field

from opencode_cloud.contracts.ids import KeyId, MemberId, ServiceAccountId
from opencode_cloud.kit.instants import Instant
from opencode_cloud.usage.models import Dimension, StoredEvent, Sums, UsageLine

MicroCents = Annotated[int, Field(description="Micro-cents: US$1 is 100,000,000.")]


class TokenCounts(BaseModel):
    """Tokens by kind. `reasoning` is included in `output`; the other kinds do not overlap."""

    input: int = Field(description="Tokens of prompts that were neither read from a cache nor written to one.")
    output: int
    reasoning: int
    cache_read: int
    cache_write: int = Field(description="Written to a cache for five minutes.")
    cache_write_1h: int = Field(description="Written to a cache for an hour.")


class UsageSums(BaseModel):
    """Sums over calls."""

    calls: int = Field(description="The number of events. A call that was settled after it counted as lost has two.")
    tokens: TokenCounts
    cost: MicroCents = Field(
        description="The cost by the prices in force, also of calls with a workspace's own credential."
    )
    charged: MicroCents = Field(description="The part of the cost that counts against the prepaid balance.")
    estimated: int = Field(
        description="Calls whose tokens the gateway counted because the upstream did not report them."
    )
    attempts: int = Field(description="Requests to upstreams.")
    mean_first_byte_ms: int | None = Field(description="The mean over calls that had a first byte.")
    mean_total_ms: int | None


class GroupedUsage(BaseModel):
    """Sums over the calls of one group."""

    group: str = Field(description="Id or name of the group; empty for calls without one.")
    name: str = Field(description="Display name of the member, service account or key; otherwise the same as `group`.")
    usage: UsageSums


class UsagePoint(BaseModel):
    """Sums over the calls of one interval, or of one group within it."""

    start: Instant
    group: str | None = Field(description="Null if the series is not grouped.")
    name: str | None
    usage: UsageSums


class UsageTotals(BaseModel):
    """Sums over all selected calls, and with `group_by` over the most expensive groups."""

    since: Instant = Field(serialization_alias="from")
    until: Instant = Field(serialization_alias="to")
    total: UsageSums
    data: list[GroupedUsage]
    next_cursor: str | None = Field(description="The cursor of the next groups; null on the last page.")


class Call(BaseModel):
    """The event of a model call."""

    id: str
    at: Instant = Field(description="When the call arrived.")
    member_id: MemberId
    member: str = Field(description="Email address; empty if the member no longer exists.")
    service_account_id: ServiceAccountId
    service_account: str
    key_id: KeyId
    key: str = Field(description="The key's name.")
    model: str = Field(description="The model that served.")
    requested_model: str = Field(description="The model that the client asked for, if another one served.")
    fallback: str = Field(description="Why another model served: `unavailable`, `context` or `budget`.")
    upstream: str
    upstream_model: str
    format: str
    streamed: bool
    byok: bool = Field(description="Whether the workspace's own credential was used.")
    tokens: TokenCounts
    estimated: bool
    cost: MicroCents
    charged: MicroCents
    reserved: MicroCents = Field(description="The amount that was reserved while the call ran.")
    price: str = Field(description="Version of the price.")
    catalogue: int
    first_byte_ms: int | None
    total_ms: int
    attempts: int
    outcome: str
    status: int
    error: str
    project: str = Field(description="The project that the client named; empty if it named none.")
    agent: str = Field(description="The client's program, by its user agent; empty if it is unknown.")
    session: str = Field(description="The client's session, as a pseudonym within this workspace.")
    request: str = Field(description="The client's own id of the request.")
    correlation_id: str
    metadata: dict[str, str]


def show_sums(sums: Sums) -> UsageSums:
    """Return sums as the API shows them."""
    return UsageSums(
        calls=sums.calls,
        tokens=TokenCounts(
            input=sums.input_tokens,
            output=sums.output_tokens,
            reasoning=sums.reasoning_tokens,
            cache_read=sums.cache_read_tokens,
            cache_write=sums.cache_write_tokens,
            cache_write_1h=sums.cache_1h_tokens,
        ),
        cost=sums.cost,
        charged=sums.charged,
        estimated=sums.estimated,
        attempts=sums.attempts,
        mean_first_byte_ms=sums.first_byte_ms // sums.first_bytes if sums.first_bytes else None,
        mean_total_ms=sums.total_ms // sums.calls if sums.calls else None,
    )


def show_group(line: UsageLine, names: Mapping[str, str]) -> GroupedUsage:
    """Return a group's sums as the API shows them."""
    group = line.group or ""
    return GroupedUsage(group=group, name=names.get(group, group), usage=show_sums(line.sums))


def show_point(line: UsageLine, by: Dimension | None, names: Mapping[str, str]) -> UsagePoint:
    """Return one point of a series as the API shows it."""
    if line.start is None:
        raise ValueError("a point of a series has a start")
    name = None if by is None else names.get(line.group or "", line.group or "")
    return UsagePoint(start=line.start, group=line.group, name=name, usage=show_sums(line.sums))


def show_call(stored: StoredEvent) -> Call:
    """Return an event as the API shows it."""
    event, tokens = stored.event, stored.event.tokens
    return Call(
        id=event.id,
        at=stored.at,
        member_id=event.member_id,
        member=stored.member_name,
        service_account_id=event.service_account_id,
        service_account=stored.service_account_name,
        key_id=event.key_id,
        key=stored.key_name,
        model=event.model,
        requested_model=event.requested_model,
        fallback=event.fallback,
        upstream=event.upstream,
        upstream_model=event.upstream_model,
        format=event.format,
        streamed=event.streamed,
        byok=event.byok,
        tokens=TokenCounts(
            input=tokens.input,
            output=tokens.output,
            reasoning=tokens.reasoning,
            cache_read=tokens.cache_read,
            cache_write=tokens.cache_write,
            cache_write_1h=tokens.cache_write_1h,
        ),
        estimated=event.estimated,
        cost=event.cost,
        charged=event.charged,
        reserved=event.reserved,
        price=event.price,
        catalogue=event.catalogue,
        first_byte_ms=event.first_byte_ms,
        total_ms=event.total_ms,
        attempts=event.attempts,
        outcome=str(event.outcome),
        status=event.status,
        error=event.error,
        project=event.project,
        agent=event.agent,
        session=event.session,
        request=event.request,
        correlation_id=event.correlation_id,
        metadata=event.metadata,
    )
