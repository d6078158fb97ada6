"""The numbers of the simulation, read from ``facts.toml``. Each has a unit and a dated source."""

# pyright: strict

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import msgspec

FILE = Path(__file__).with_name("facts.toml")
_Group = TypeVar("_Group")


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a value was read, and when."""

    page: str
    date: date


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value as the file has it. A latency has ``p50`` and ``p99`` instead of ``value``."""

    unit: str
    source: str
    value: float | None = None
    p50: float | None = None
    p99: float | None = None
    note: str = ""
    fixed: bool = False
    assumed: bool = False


class Latency(msgspec.Struct, frozen=True):
    """The median and the 99th percentile of a duration, in milliseconds."""

    p50: float
    p99: float


class Quotas(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Quotas and billing units of AWS, in the units of the file."""

    gateway_requests: float
    gateway_burst: float
    new_connections: float
    connection_minutes: float
    message_bytes: float
    concurrent_functions: float
    partition_reads: float
    partition_writes: float
    query_page_bytes: float
    read_unit_bytes: float
    write_unit_bytes: float
    fargate_vcpus: float
    cdn_bits: float
    cdn_requests: float


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """List prices in US$, and what one capacity unit of the balancer contains."""

    http_million: float
    message_million: float
    connection_minute_million: float
    invocation_million: float
    function_gb_second: float
    write_unit_million: float
    read_unit_million: float
    log_gb: float
    vcpu_hour: float
    memory_gb_hour: float
    address_hour: float
    balancer_hour: float
    balancer_unit_hour: float
    balancer_unit_new: float
    balancer_unit_active: float
    balancer_unit_gb: float
    transfer_gb: float
    cdn_request_million: float


class Latencies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Durations of AWS's services."""

    gateway: Latency
    store: Latency
    page: Latency
    post: Latency
    invoke: Latency
    queue: Latency
    balancer: Latency
    hub_post: Latency


class Times(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Our own processor times in milliseconds, on one processor of the machine that ran the benchmark."""

    sync: float
    post: float
    viewer_row: float
    invoke: float
    deliver: float
    message: float
    hub_commit: float
    hub_frame: float
    hub_post: float
    hub_join: float


class Ours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Constants of our code and infrastructure, in the units of the file."""

    inline_viewers: int
    viewers_per_push: int
    lanes: int
    threads: int
    post_attempts: int
    post_pause: float
    share_memory: float
    live_memory: float
    deliver_memory: float
    ping_seconds: float
    viewer_row_bytes: float
    rows_per_join: int
    counters: int
    frame_overhead_bytes: float
    record_compression: float
    record_overhead_bytes: float
    log_bytes: float
    vcpu_memory: float


class HubTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and number of the hub's tasks."""

    sockets: float
    least_tasks: int
    vcpus: float
    memory_gb: float
    busy: float


class Facts(msgspec.Struct, frozen=True):
    """All numbers of the simulation."""

    quotas: Quotas
    prices: Prices
    latencies: Latencies
    times: Times
    ours: Ours
    hub: HubTask
    fixed: frozenset[str]
    """Names of the quotas that AWS does not raise."""


def entries(path: Path = FILE) -> dict[str, Entry]:
    """Return the values of the file by their names, such as ``quotas.new_connections``."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        f"{group}.{name}": msgspec.convert(entry, Entry)
        for group, members in document.items()
        if group != "sources"
        for name, entry in members.items()
    }


def sources(path: Path = FILE) -> dict[str, Source]:
    """Return the sources of the file by their names."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return msgspec.convert(document["sources"], dict[str, Source])


def read(replaced: Mapping[str, float] | None = None) -> Facts:
    """Read the file. ``replaced`` overrides values by name. Raises ``KeyError`` for a name that the file lacks."""
    found = entries()
    for name, value in (replaced or {}).items():
        found[name] = msgspec.structs.replace(found[name], value=value)
    return Facts(
        quotas=_group(found, "quotas", Quotas),
        prices=_group(found, "prices", Prices),
        latencies=_group(found, "latencies", Latencies),
        times=_group(found, "times", Times),
        ours=_group(found, "ours", Ours),
        hub=_group(found, "hub", HubTask),
        fixed=frozenset(name.partition(".")[2] for name, entry in found.items() if entry.fixed),
    )


def _group(found: Mapping[str, Entry], group: str, kind: type[_Group]) -> _Group:
    values: dict[str, Any] = {}
    for name, entry in found.items():
        prefix, _, member = name.partition(".")
        if prefix == group:
            values[member] = {"p50": entry.p50, "p99": entry.p99} if entry.value is None else entry.value
    return msgspec.convert(values, kind, strict=False)
