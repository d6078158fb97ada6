"""Usage events of tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Table, func, select

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.usage import Outcome, SettledEvent, Tokens, UsageEvent
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.usage import SUMS

NOON = 1_764_072_000_000
"""2025-11-25T12:00:00Z, in milliseconds."""
HOUR = 3_600_000
DAY = 24 * HOUR
WORKSPACE = WorkspaceId("wrk_01K0000000000000000000000A")
OTHER = WorkspaceId("wrk_01K0000000000000000000000B")
ANN = "mem_01K0000000000000000000000A"
BEN = "mem_01K0000000000000000000000B"
ROBOT = "svc_01K0000000000000000000000A"


def call(number: int) -> str:
    return f"call_{number:026d}"


def event(number: int = 0, **changes: Any) -> UsageEvent:
    """Return the event of a call that cost a dollar and a half; `changes` are fields of it."""
    usual: dict[str, Any] = {
        "id": call(number),
        "at": NOON,
        "workspace_id": WORKSPACE,
        "member_id": ANN,
        "account_id": "acc_01K0000000000000000000000A",
        "key_id": "key_01K0000000000000000000000A",
        "model": "claude-sonnet",
        "requested_model": "claude-opus",
        "fallback": "unavailable",
        "upstream": "anthropic",
        "upstream_model": "claude-sonnet-5",
        "format": "messages",
        "streamed": True,
        "tokens": Tokens(input=100, output=20, reasoning=5, cache_read=1000, cache_write=10, cache_write_1h=1),
        "cost": 150_000_000,
        "charged": 150_000_000,
        "reserved": 200_000_000,
        "price": "p1",
        "catalogue": 1,
        "first_byte_ms": 300,
        "total_ms": 2000,
        "attempts": 1,
        "status": 200,
        "project": "web",
        "agent": "claude-code",
        "session": "ses_pseudonym",
        "request": "msg_1",
        "correlation_id": "trace-1",
    }
    return UsageEvent(**usual | changes)


def entry(number: int = 0, counters: tuple[str, ...] = (), **changes: Any) -> SettledEvent:
    return SettledEvent(event=event(number, **changes), counters=counters)


amounts = st.integers(0, 2**40)
tokens = st.builds(Tokens, input=amounts, output=amounts, reasoning=amounts, cache_read=amounts, cache_write=amounts)
entries = st.builds(
    # A budget belongs to one workspace.
    lambda number, windows, caller, changes: entry(
        number, tuple(f"budget#{changes['workspace_id']}#{window}" for window in sorted(windows)), **caller, **changes
    ),
    st.integers(0, 30),
    st.sets(st.sampled_from([1, 2, 3])),
    st.sampled_from(
        [
            {"member_id": "", "service_account_id": ""},
            {"member_id": ANN, "service_account_id": ""},
            {"member_id": BEN, "service_account_id": ""},
            {"member_id": "", "service_account_id": ROBOT},
        ]
    ),
    st.fixed_dictionaries(
        {
            "workspace_id": st.sampled_from([WORKSPACE, OTHER]),
            "at": st.integers(NOON - 3 * DAY, NOON + 3 * DAY),
            "model": st.sampled_from(["claude-sonnet", "gpt", "Gpt", "gemini"]),
            "upstream": st.sampled_from(["", "anthropic", "openrouter"]),
            "project": st.sampled_from(["", "web", "Web", "team/api"]),
            "agent": st.sampled_from(["", "codex", "opencode"]),
            "session": st.sampled_from(["", "ses_a", "ses_b", "ses_B"]),
            "byok": st.booleans(),
            "outcome": st.sampled_from([str(outcome) for outcome in Outcome]),
            "tokens": tokens,
            "cost": amounts,
            "charged": amounts,
            "first_byte_ms": st.none() | st.integers(0, 10**6),
            "estimated": st.booleans(),
            "metadata": st.sampled_from([{}, {"client": "opencode/1.18.33"}]),
        }
    ),
)
"""Events of few groups. Ids repeat; :func:`distinct` removes duplicates."""


def distinct(found: list[SettledEvent]) -> list[SettledEvent]:
    """Keep one entry of each id, because a repeated settlement writes the same event."""
    return list({each.event.id: each for each in found}.values())


def rows(database: Database, table: Table) -> list[dict[str, Any]]:
    """Return all rows of a table without the names of the batches that wrote them."""
    with database.transaction() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key)).mappings()
        return [{name: value for name, value in row.items() if name != "batch"} for row in found]


def totals(database: Database, table: Table, *conditions: ColumnElement[bool]) -> dict[str, int]:
    """Return the sums of a rollup over all its rows, or over those that fulfil conditions."""
    columns = [func.coalesce(func.sum(table.c[name]), 0).label(name) for name in SUMS]
    query = select(*columns).where(*conditions)
    with database.transaction() as connection:
        return {name: int(value) for name, value in connection.execute(query).mappings().one().items()}
