"""The runtime `container`: hubs on Fargate hold the sockets, behind the CDN and a balancer.

A hub is one subscriber. The hub that takes a sync commits it, posts the record once to each other hub, and every hub
writes it to its own sockets. The number of hubs follows the sockets and the frames.
"""

# pyright: strict

from __future__ import annotations

import math

from benchmarks.scale.facts import Facts
from benchmarks.scale.model import (
    HOUR,
    MILLION,
    Cost,
    Outcome,
    Processor,
    Sampler,
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

POSITIONS = 50
"""Sockets of a hub whose frames are sampled for one update, evenly spaced."""
FRAMES = 20_000
MOST_HUBS = 10_000
LEAST_UPDATES, MOST_UPDATES = 40, 1_000


def hubs(facts: Facts, load: Workload) -> int:
    """Return the number of tasks: enough for the sockets, and for the wanted share of each processor.

    A hub takes its part of commits, frames and joins, and receives the records of all others. So more hubs do not help
    above a certain rate of updates; the number is then ``MOST_HUBS``.
    """
    times, rate = facts.times, load.updates_per_second
    shared = rate * (times.hub_commit - times.hub_post) + _spread(facts, load)
    free = facts.hub.busy * 1000 - 2 * rate * times.hub_post
    by_processor = math.ceil(shared / free) if free > 0 else MOST_HUBS
    by_sockets = math.ceil(load.viewers / facts.hub.sockets)
    return min(MOST_HUBS, max(facts.hub.least_tasks, by_sockets, by_processor))


def uses(facts: Facts, load: Workload) -> list[Use]:
    """Return how much of each limit the workload needs. Tasks are started as needed, up to the account's quota."""
    quotas, rate = facts.quotas, load.updates_per_second
    tasks, joins = hubs(facts, load), joins_per_second(facts, load)
    bits = 8 * load.frames_per_second * frame_bytes(facts, load)
    return [
        Use("vCPUs of Fargate", tasks * facts.hub.vcpus / quotas.fargate_vcpus),
        # Each hub receives every record, so more hubs do not help against many updates.
        Use("records of one hub", 2 * rate * facts.times.hub_post / 1000 / facts.hub.busy, fixed=True),
        Use("reads of one partition", rate * _reads(facts, tasks) / quotas.partition_reads, fixed=True),
        Use("writes of one partition", rate * record_write_units(facts, load) / quotas.partition_writes, fixed=True),
        Use("bits of the CDN", bits / quotas.cdn_bits),
        Use("requests of the CDN", (rate + joins) / quotas.cdn_requests),
    ]


def cost(facts: Facts, load: Workload) -> Cost:
    """Return the price of an hour. The stream's function `snapshot` is not counted."""
    prices, rate, tasks = facts.prices, load.updates_per_second, hubs(facts, load)
    task = facts.hub.vcpus * prices.vcpu_hour + facts.hub.memory_gb * prices.memory_gb_hour + prices.address_hour
    writes = rate * (record_write_units(facts, load) + facts.ours.counters)
    reads = rate * _reads(facts, tasks)
    table = (reads * prices.read_unit_million + writes * prices.write_unit_million) / MILLION
    return Cost(
        {
            "tasks": tasks * task,
            "balancer": prices.balancer_hour + _balancer_units(facts, load) * prices.balancer_unit_hour,
            "requests": rate * HOUR * prices.cdn_request_million / MILLION,
            "table": table * HOUR,
            "transfer": transfer_gb(facts, load) * prices.transfer_gb,
        }
    )


def joining_seconds(facts: Facts, load: Workload) -> float:
    """Return the time until all viewers of an audience have joined, in seconds: the hubs' processor time."""
    return load.viewers * facts.times.hub_join / 1000 / hubs(facts, load)


def simulate(facts: Facts, load: Workload, seed: int = 1) -> Outcome:
    """Simulate updates in a row, with as many hubs as the workload needs."""
    sampler = Sampler(seed)
    tasks = hubs(facts, load)
    processors = [Processor() for _ in range(tasks)]
    seen: list[float] = []
    updates = max(LEAST_UPDATES, min(MOST_UPDATES, int(FRAMES / min(load.viewers, POSITIONS * tasks))))
    for number, at in enumerate(published(load, updates)):
        committing = number % tasks
        committed = _commit(facts, sampler, processors[committing], at)
        # Send to the other hubs first: they write their frames while this one writes its own.
        sent = [processors[committing].run(committed, facts.times.hub_post) for _ in range(tasks - 1)]
        arrivals = [moment + sampler.draw(facts.latencies.hub_post) for moment in sent]
        arrivals.insert(committing, committed)
        for index, arrived in enumerate(arrivals):
            received = 0.0 if index == committing else facts.times.hub_post
            sockets = _sockets(int(load.viewers), tasks, index)
            started = processors[index].run(arrived, received)
            processors[index].run(started, sockets * facts.times.hub_frame)
            seen += _frames(facts, sampler, started - at, sockets)
    return outcome(seen, 0)


def _commit(facts: Facts, sampler: Sampler, processor: Processor, at: float) -> float:
    """Return when an update that is published at ``at`` is durable: the same rounds as in a function."""
    store = facts.latencies.store
    computed = processor.run(at + sampler.draw(facts.latencies.balancer), facts.times.hub_commit)
    return computed + sampler.draw(store) + sampler.slowest(store, facts.ours.counters) + sampler.draw(store)


def _frames(facts: Facts, sampler: Sampler, started: float, sockets: int) -> list[float]:
    """Return when some of a hub's viewers see the frame, in milliseconds after its publication."""
    shown = min(sockets, POSITIONS)
    return [
        started + (number + 1) * sockets / shown * facts.times.hub_frame + sampler.draw(facts.latencies.balancer)
        for number in range(shown)
    ]


def _sockets(viewers: int, tasks: int, index: int) -> int:
    """Return the sockets of one hub. The balancer spreads them evenly."""
    return viewers // tasks + (index < viewers % tasks)


def busy(facts: Facts, load: Workload) -> float:
    """Return the share of its processor that a hub needs. Commits and their posts are spread over the hubs."""
    times, rate, tasks = facts.times, load.updates_per_second, hubs(facts, load)
    committing = rate * (times.hub_commit + (tasks - 1) * times.hub_post)
    return ((committing + _spread(facts, load)) / tasks + rate * times.hub_post) / 1000


def _spread(facts: Facts, load: Workload) -> float:
    """Return the milliseconds a second that frames, pings and joins take in all hubs together."""
    frames = (load.frames_per_second + 2 * pings_per_second(facts, load)) * facts.times.hub_frame
    return frames + joins_per_second(facts, load) * facts.times.hub_join


def _reads(facts: Facts, tasks: int) -> float:
    """Return the read units of one update: the rows of the hubs, once before and once after the put."""
    return 2 * max(1.0, tasks * facts.ours.viewer_row_bytes / facts.quotas.read_unit_bytes)


def _balancer_units(facts: Facts, load: Workload) -> float:
    """Return the balancer's capacity units: the largest of the three that apply."""
    prices = facts.prices
    return max(
        joins_per_second(facts, load) / prices.balancer_unit_new,
        load.viewers / prices.balancer_unit_active,
        transfer_gb(facts, load) / prices.balancer_unit_gb,
    )
