"""Sizes of measurements: the whole run takes about twenty minutes on two cores, the quick one six minutes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run. Sizes of updates in characters of text, durations in seconds."""

    viewers: tuple[int, ...] = (1, 10, 100, 1000)
    size: int = 1024
    rate: float = 50.0
    updates: int = 250
    latency_seconds: float = 8.0
    publishers: tuple[int, ...] = (1, 4, 16)
    throughput_seconds: float = 5.0
    states: tuple[int, ...] = (100, 1_000, 10_000, 50_000)
    state_repetitions: int = 5
    page_parts: tuple[int, ...] = (100, 5_000, 50_000)
    lighthouse_runs: int = 3
    reconnect_state: int = 10_000
    missed: int = 10
    item_sizes: tuple[int, ...] = (1_024, 30_000, 200_000, 1_000_000)
    item_viewers: int = 5
    item_updates: int = 30
    session_publishes: int = 200
    repetitions: int = 200
    starts: int = 5
    gateway_rounds: int = 3
    gateway_seconds: float = 12.0
    peer_updates: int = 150
    peer_seconds: float = 4.0
    order_rounds: int = 40
    stall_megabytes: float = 32.0
    stall_seconds: float = 8.0


FULL = Plan()
QUICK = Plan(
    viewers=(1, 10),
    updates=60,
    latency_seconds=3.0,
    publishers=(1, 4),
    throughput_seconds=2.0,
    states=(100, 1_000),
    state_repetitions=3,
    page_parts=(100, 5_000),
    lighthouse_runs=1,
    reconnect_state=1_000,
    item_sizes=(1_024, 200_000),
    item_updates=5,
    session_publishes=20,
    repetitions=40,
    starts=3,
    gateway_rounds=1,
    gateway_seconds=6.0,
    peer_updates=50,
    peer_seconds=2.0,
    order_rounds=15,
    stall_seconds=6.0,
)
