"""The common terms of both runtimes: workload, use of a limit, hourly cost, outcome, and the parts of a simulation."""

# pyright: strict

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.scale.facts import Facts, Latency

HOUR = 3600
MILLION = 1_000_000
_Z99 = 2.3263  # standard deviations from the median of a normal distribution to its 99th percentile


@dataclass(frozen=True, slots=True)
class Workload:
    """One live share: its number of viewers, its updates per second, and the bytes of an update."""

    viewers: float
    updates_per_second: float = 5.0
    update_bytes: float = 1024.0

    @property
    def frames_per_second(self) -> float:
        """The frames that all viewers together receive in a second."""
        return self.viewers * self.updates_per_second


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit a workload needs: 1.0 is all of it. ``fixed``: AWS does not raise the limit."""

    limit: str
    used: float
    fixed: bool = False


def first(uses: Sequence[Use]) -> Use:
    """Return the limit that is reached first when the workload grows."""
    return max(uses, key=lambda use: use.used)


@dataclass(frozen=True, slots=True)
class Cost:
    """US$ an hour, by line."""

    lines: Mapping[str, float]

    @property
    def total(self) -> float:
        """The sum of all lines, in US$ an hour."""
        return sum(self.lines.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """Publish -> seen in milliseconds, over all frames that arrived, and the share of frames that arrived."""

    p50: float
    p99: float
    arrived: float


def outcome(seen: Sequence[float], lost: int) -> Outcome:
    """Return the percentiles of ``seen``, in milliseconds. ``lost`` counts frames that did not arrive."""
    ordered = sorted(seen)
    arrived = len(ordered) / (len(ordered) + lost)
    return Outcome(_percentile(ordered, 0.50), _percentile(ordered, 0.99), arrived)


def _percentile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, math.floor(part * len(ordered)))]


class Sampler:
    """Draws durations. The same seed gives the same durations."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self, latency: Latency) -> float:
        """Draw from the log-normal distribution with this median and 99th percentile. Return milliseconds."""
        sigma = math.log(latency.p99 / latency.p50) / _Z99
        return latency.p50 * math.exp(sigma * self._random.gauss(0.0, 1.0))

    def slowest(self, latency: Latency, calls: int) -> float:
        """Return the duration of a parallel round of ``calls``, in milliseconds."""
        return max((self.draw(latency) for _ in range(calls)), default=0.0)

    def between(self, low: float, high: float) -> float:
        """Draw evenly between two numbers."""
        return self._random.uniform(low, high)


class Processor:
    """One processor that does its work in the order of arrival."""

    def __init__(self) -> None:
        self._free = 0.0

    def run(self, at: float, duration: float) -> float:
        """Do work that arrives at ``at`` and takes ``duration``. Return the time at which it is done (milliseconds)."""
        self._free = max(self._free, at) + duration
        return self._free


class TokenBucket:
    """A throttle: ``rate`` a second, and up to ``burst`` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = 0.0

    def take(self, at: float, count: float) -> bool:
        """Take ``count`` tokens at time ``at`` (milliseconds). Return False if there are too few."""
        if at > self._at:
            self._tokens = min(self._burst, self._tokens + (at - self._at) / 1000 * self._rate)
            self._at = at
        if self._tokens < count:
            return False
        self._tokens -= count
        return True


def published(workload: Workload, updates: int) -> list[float]:
    """Return the times of ``updates``, evenly spaced (milliseconds)."""
    return [number * 1000 / workload.updates_per_second for number in range(updates)]


def frame_bytes(facts: Facts, workload: Workload) -> float:
    """Return the bytes of one update's frame on the wire."""
    return workload.update_bytes + facts.ours.frame_overhead_bytes


def record_write_units(facts: Facts, workload: Workload) -> int:
    """Return the write units of one update's log record."""
    stored = workload.update_bytes * facts.ours.record_compression + facts.ours.record_overhead_bytes
    return max(1, math.ceil(stored / facts.quotas.write_unit_bytes))


def transfer_gb(facts: Facts, workload: Workload) -> float:
    """Return the GB that viewers receive in an hour."""
    return workload.frames_per_second * HOUR * frame_bytes(facts, workload) / 1e9


def joins_per_second(facts: Facts, workload: Workload) -> float:
    """Return the rate at which viewers connect again because their sockets reach the longest duration."""
    return workload.viewers / (facts.quotas.connection_minutes * 60)


def pings_per_second(facts: Facts, workload: Workload) -> float:
    """Return the rate of the pings of all viewers."""
    return workload.viewers / facts.ours.ping_seconds
