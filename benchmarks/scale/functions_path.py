"""The runtime of today: functions commit, and post each frame through API Gateway's ``@connections``.

The steps are those of ARCHITECTURE.md, "The path of one update": a query, the counters of a share without an owner, a
put, then the posts. Above ``inline_viewers``, functions `deliver` post to ``viewers_per_push`` viewers each.
"""

# pyright: strict

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

from benchmarks.scale.facts import Facts
from benchmarks.scale.model import (
    HOUR,
    MILLION,
    Cost,
    Outcome,
    Processor,
    Sampler,
    TokenBucket,
    Use,
    Workload,
    frame_bytes,
    joins_per_second,
    outcome,
    pings_per_second,
    published,
    record_write_units,
    transfer_gb,
)

MOST_GROUPS = 5
"""Functions `deliver` that are simulated for one update. Each stands for an equal part of all of them."""
FRAMES = 20_000
LEAST_UPDATES, MOST_UPDATES = 100, 1_000


def uses(facts: Facts, load: Workload) -> list[Use]:
    """Return how much of each limit the workload needs."""
    quotas = facts.quotas
    rate, joins, pings = load.updates_per_second, joins_per_second(facts, load), pings_per_second(facts, load)
    reads = rate * _update_reads(facts, load.viewers) + joins * _join_reads(facts, load.viewers) + pings
    # A socket that connects again puts one row, and deletes the old one.
    writes = rate * record_write_units(facts, load) + 2 * joins
    requests = rate + load.frames_per_second + pings + 3 * joins
    bits = 8 * load.frames_per_second * frame_bytes(facts, load)
    return [
        Use("API Gateway requests", requests / quotas.gateway_requests),
        Use("concurrent functions", _concurrency(facts, load) / quotas.concurrent_functions),
        Use("reads of one partition", reads / quotas.partition_reads, "partition_reads" in facts.fixed),
        Use("writes of one partition", writes / quotas.partition_writes, "partition_writes" in facts.fixed),
        Use("new connections", joins / quotas.new_connections),
        Use("bits of the CDN", bits / quotas.cdn_bits),
        Use("requests of the CDN", (rate + joins) / quotas.cdn_requests),
    ]


def cost(facts: Facts, load: Workload) -> Cost:
    """Return the price of an hour. Refused posts cost nothing; the stream's function `snapshot` is not counted."""
    prices, rate = facts.prices, load.updates_per_second
    joins, pings = joins_per_second(facts, load), pings_per_second(facts, load)
    messages = math.ceil(frame_bytes(facts, load) / facts.quotas.message_bytes) * load.frames_per_second
    pushes = rate * _pushes(facts, load.viewers)
    invocations = rate + pushes + pings + 3 * joins
    reads = rate * _update_reads(facts, load.viewers) + joins * _join_reads(facts, load.viewers) + pings
    writes = rate * (record_write_units(facts, load) + facts.ours.counters) + 4 * joins
    hourly = {
        "messages": (messages + 2 * pings + 2 * joins) * prices.message_million / MILLION,
        "connections": load.viewers / 60 * prices.connection_minute_million / MILLION,
        "requests": rate * (prices.http_million + prices.cdn_request_million) / MILLION,
        "functions": invocations * prices.invocation_million / MILLION
        + _gb_seconds(facts, load) * prices.function_gb_second,
        "logs": invocations * facts.ours.log_bytes / 1e9 * prices.log_gb,
        "table": (reads * prices.read_unit_million + writes * prices.write_unit_million) / MILLION,
    }
    lines = {name: value * HOUR for name, value in hourly.items()}
    return Cost({**lines, "transfer": transfer_gb(facts, load) * prices.transfer_gb})


def joining_seconds(facts: Facts, load: Workload) -> float:
    """Return the time until all viewers of an audience have joined, in seconds.

    API Gateway admits ``new_connections`` a second. Each resume reads some rows of viewers, and puts one.
    """
    reads = load.viewers * _join_reads(facts, load.viewers)
    return max(
        load.viewers / facts.quotas.new_connections,
        reads / facts.quotas.partition_reads,
        load.viewers / facts.quotas.partition_writes,
    )


def simulate(facts: Facts, load: Workload, seed: int = 1, *, raised: bool = False) -> Outcome:
    """Simulate updates in a row. ``raised``: with as many API Gateway requests as the workload needs.

    The partition's limit is not simulated: look at :func:`uses`.
    """
    sampler = Sampler(seed)
    others = load.updates_per_second + pings_per_second(facts, load)
    rate = math.inf if raised else facts.quotas.gateway_requests - others
    run = _Run(facts, sampler, TokenBucket(rate, math.inf if raised else facts.quotas.gateway_burst))
    updates = max(LEAST_UPDATES, min(MOST_UPDATES, int(FRAMES / load.viewers)))
    for at in published(load, updates):
        _start(run, facts, sampler, at, int(load.viewers))
    run.finish()
    return outcome(run.seen, run.lost)


# ------------------------------------------------------------------------------------------------------ simulation


@dataclass(slots=True)
class _Group:
    """The posts of one function. It stands for ``weight`` functions."""

    published: float
    waiting: int
    weight: float
    slowdown: float
    processor: Processor = field(default_factory=Processor)


class _Run:
    """All posts, in the order of time."""

    def __init__(self, facts: Facts, sampler: Sampler, bucket: TokenBucket) -> None:
        self.seen: list[float] = []
        self.lost = 0
        self._facts = facts
        self._sampler = sampler
        self._bucket = bucket
        self._groups: list[_Group] = []
        self._due: list[tuple[float, int, int]] = []  # time, index of the group, number of the attempt

    def post(self, group: _Group, at: float) -> None:
        """Have the posts of ``group`` begin at ``at``, in as many lanes as a function has."""
        self._groups.append(group)
        for _ in range(min(self._facts.ours.lanes, group.waiting)):
            self._next(len(self._groups) - 1, at)

    def finish(self) -> None:
        """Carry out all posts."""
        while self._due:
            at, index, attempt = heapq.heappop(self._due)
            group = self._groups[index]
            answered = at + self._sampler.draw(self._facts.latencies.post)
            if self._bucket.take(at, group.weight):
                self.seen.append(answered - group.published)
                self._next(index, answered)
            elif attempt < self._facts.ours.post_attempts:
                pause = self._sampler.between(0, self._facts.ours.post_pause * 2 ** (attempt - 1))
                heapq.heappush(self._due, (answered + pause, index, attempt + 1))
            else:
                self.lost += 1
                self._next(index, answered)

    def _next(self, index: int, at: float) -> None:
        group = self._groups[index]
        if group.waiting:
            group.waiting -= 1
            sent = group.processor.run(at, self._facts.times.post * group.slowdown)
            heapq.heappush(self._due, (sent, index, 1))


def _start(run: _Run, facts: Facts, sampler: Sampler, at: float, viewers: int) -> None:
    """Commit one update that is published at ``at``, and begin its posts."""
    latencies, slow = facts.latencies, _slowdown(facts, facts.ours.share_memory)
    rows = viewers * facts.ours.viewer_row_bytes
    ready = at + sampler.draw(latencies.gateway) + facts.times.sync * slow
    for _ in range(max(1, math.ceil(rows / facts.quotas.query_page_bytes))):
        ready += sampler.draw(latencies.store)
    ready += rows / 1e6 * sampler.draw(latencies.page) + viewers * facts.times.viewer_row * slow
    ready += sampler.slowest(latencies.store, facts.ours.counters) + sampler.draw(latencies.store)
    if viewers <= facts.ours.inline_viewers:
        run.post(_Group(at, viewers, 1, slow), ready)
        return
    pushes = _pushes(facts, viewers)
    shown = min(pushes, MOST_GROUPS)
    for number in range(shown):
        position = number * pushes // shown  # of this function among all, which are invoked one after the other
        computing = (position + 1) * facts.times.invoke * slow
        waiting = position // facts.ours.threads * latencies.invoke.p50
        accepted = ready + max(computing, waiting) + sampler.draw(latencies.invoke)
        began = accepted + sampler.draw(latencies.queue)
        slowdown = _slowdown(facts, facts.ours.deliver_memory)
        reads = sampler.draw(latencies.store) + sampler.draw(latencies.store)
        size = min(facts.ours.viewers_per_push, viewers - position * facts.ours.viewers_per_push)
        run.post(_Group(at, size, pushes / shown, slowdown), began + reads + facts.times.deliver * slowdown)


# ------------------------------------------------------------------------------------------------------------ sums


def _slowdown(facts: Facts, memory: float) -> float:
    """Return how many times as long a function with ``memory`` MB computes as one with a whole processor."""
    return max(1.0, facts.ours.vcpu_memory / memory)


def _pushes(facts: Facts, viewers: float) -> int:
    """Return the number of functions `deliver` for one update."""
    return math.ceil(viewers / facts.ours.viewers_per_push) if viewers > facts.ours.inline_viewers else 0


def _viewer_reads(facts: Facts, viewers: float) -> float:
    """Return the read units of a query of all viewers. The last, partial unit is not rounded up."""
    return max(1.0, viewers * facts.ours.viewer_row_bytes / facts.quotas.read_unit_bytes)


def _join_reads(facts: Facts, viewers: float) -> float:
    """Return the read units of a resume: its page of the log, and rows of viewers, eventually consistently."""
    rows = min(viewers, facts.ours.rows_per_join)
    return 1 + max(1.0, rows * facts.ours.viewer_row_bytes / facts.quotas.read_unit_bytes) / 2


def _update_reads(facts: Facts, viewers: float) -> float:
    """Return the read units of one update: all viewers twice, and share and record for each `deliver`."""
    return 2 * _viewer_reads(facts, viewers) + 2 * _pushes(facts, viewers)


def _query_ms(facts: Facts, viewers: float) -> float:
    rows = viewers * facts.ours.viewer_row_bytes
    pages = max(1, math.ceil(rows / facts.quotas.query_page_bytes))
    parsing = viewers * facts.times.viewer_row * _slowdown(facts, facts.ours.share_memory)
    return pages * facts.latencies.store.p50 + rows / 1e6 * facts.latencies.page.p50 + parsing


def _posts_ms(facts: Facts, posts: float, memory: float) -> float:
    waiting = math.ceil(posts / facts.ours.lanes) * facts.latencies.post.p50
    return max(waiting, posts * facts.times.post * _slowdown(facts, memory))


def _share_ms(facts: Facts, viewers: float) -> float:
    """Return the billed milliseconds of one sync. The second look at the viewers runs beside the posts."""
    slow = _slowdown(facts, facts.ours.share_memory)
    if pushes := _pushes(facts, viewers):
        calls = math.ceil(pushes / facts.ours.threads) * facts.latencies.invoke.p50
        fan_out = max(calls, pushes * facts.times.invoke * slow)
    else:
        fan_out = _posts_ms(facts, viewers, facts.ours.share_memory)
    query = _query_ms(facts, viewers)
    return facts.times.sync * slow + query + 2 * facts.latencies.store.p50 + max(fan_out, query)


def _deliver_ms(facts: Facts, viewers: float) -> float:
    pushes = _pushes(facts, viewers)
    if not pushes:
        return 0.0
    posts = _posts_ms(facts, viewers / pushes, facts.ours.deliver_memory)
    slow = _slowdown(facts, facts.ours.deliver_memory)
    return 2 * facts.latencies.store.p50 + facts.times.deliver * slow + posts


def _message_ms(facts: Facts) -> float:
    return facts.latencies.store.p50 + facts.times.message * _slowdown(facts, facts.ours.live_memory)


def _messages_per_second(facts: Facts, load: Workload) -> float:
    return pings_per_second(facts, load) + 3 * joins_per_second(facts, load)


def _gb_seconds(facts: Facts, load: Workload) -> float:
    """Return the GB-seconds that all functions are billed for in a second."""
    ours, rate, pushes = facts.ours, load.updates_per_second, _pushes(facts, load.viewers)
    share = rate * ours.share_memory * _share_ms(facts, load.viewers)
    deliver = rate * pushes * ours.deliver_memory * _deliver_ms(facts, load.viewers)
    live = _messages_per_second(facts, load) * ours.live_memory * _message_ms(facts)
    return (share + deliver + live) / 1024 / 1000


def _concurrency(facts: Facts, load: Workload) -> float:
    """Return the number of functions that run at once, on average."""
    rate, pushes = load.updates_per_second, _pushes(facts, load.viewers)
    busy = rate * (_share_ms(facts, load.viewers) + pushes * _deliver_ms(facts, load.viewers))
    return (busy + _messages_per_second(facts, load) * _message_ms(facts)) / 1000
