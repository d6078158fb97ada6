"""The part `peers`: every figure of every system, in turn, by the same code that measures ours in the other parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import latency, throughput
from benchmarks.peers import killing, ordering, stalling
from benchmarks.peers.installing import NotInstalled
from benchmarks.peers.rooms import Measured, PeerShare
from benchmarks.peers.servers import PEERS, NotStarted, Peer, Server, running
from benchmarks.plan import Plan
from benchmarks.summary import percentile

Json = dict[str, Any]
OURS = "ours"
HUB = "our hub itself"
PUBLISHERS = 16
IN_FLIGHT = 8


@dataclass(frozen=True, slots=True)
class System:
    """A measured server."""

    name: str
    about: str
    durability: str
    create: Callable[[], Awaitable[Measured]]
    settle: Callable[[], Awaitable[None]]
    """Waits until background work of removed shares is done."""
    memory: Callable[[], float]
    """Resident memory, in megabytes."""
    processor: Callable[[], dict[str, float]]
    """Processor time used so far, in seconds, by process."""
    known: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Figures that another part of this run has measured, by the name of the measurement."""
    server: Server | None = None


class NoPeers(Exception):
    """No peer could be started. The message has the reasons."""


async def measure(ours: Sequence[System], plan: Plan, say: Callable[[str], None]) -> Json:
    """Start the peers, measure ours and them, and stop them."""
    async with _systems(ours, say) as (systems, unavailable):
        found = {
            "latency": [await _latency(systems, plan, say, viewers) for viewers in plan.viewers],
            "throughput": [await _throughput(systems, plan, say, shares) for shares in (1, PUBLISHERS)],
            "state": await _state(systems, plan, say),
            "order": await _order(systems, plan, say),
            "stall": await _stall(systems, plan, say),
            "killed": await _killed(systems, plan, say),
        }
        about = {each.name: {"about": each.about, "durability": each.durability} for each in systems}
    return {"systems": about, "unavailable": unavailable, **found}


def latency_key(viewers: int) -> str:
    """Return the name of a measurement of publish -> received."""
    return f"latency {viewers}"


def throughput_key(shares: int) -> str:
    """Return the name of a measurement of commits a second, by 16 publishers."""
    return f"throughput {shares}"


def state_key(items: int) -> str:
    """Return the name of a measurement of connect -> full state."""
    return f"state {items}"


@asynccontextmanager
async def _systems(
    ours: Sequence[System], say: Callable[[str], None]
) -> AsyncGenerator[tuple[list[System], dict[str, str]], None]:
    """Yield ours and every peer that starts, and the reasons of the others. Raises NoPeers."""
    systems, unavailable = [*ours], dict[str, str]()
    async with AsyncExitStack() as stack:
        for peer in PEERS:
            say(f"starting a peer: {peer.name}")
            try:
                server = await stack.enter_async_context(running(peer))
            except (NotInstalled, NotStarted, OSError, TimeoutError) as error:
                unavailable[peer.name] = str(error) or type(error).__name__
            else:
                systems.append(_system(peer, server))
        if len(systems) == len(ours):
            raise NoPeers("; ".join(f"{name}: {reason}" for name, reason in unavailable.items()))
        yield systems, unavailable


def _system(peer: Peer, server: Server) -> System:
    async def create() -> Measured:
        return await PeerShare.create(server.url)

    async def settle() -> None:
        pass

    return System(
        peer.name, server.versions(), peer.durability, create, settle, server.memory, server.processor, server=server
    )


async def _each(
    systems: Sequence[System], key: str, count: int, measure_one: Callable[[System, list[Measured]], Awaitable[Json]]
) -> dict[str, Json]:
    """Measure each system on ``count`` new shares, except where the figure is known; return figures by system."""
    found: dict[str, Json] = {}
    for system in systems:
        if key in system.known:
            found[system.name] = system.known[key]
            continue
        rooms = [await system.create() for _ in range(count)]
        found[system.name] = await measure_one(system, rooms)
        for room in rooms:
            await room.remove()
        await system.settle()
    return found


async def _latency(systems: Sequence[System], plan: Plan, say: Callable[[str], None], viewers: int) -> Json:
    say(f"peers: publish -> received, viewers: {viewers:,}")
    load = latency.Load(viewers, plan.rate, plan.peer_updates, plan.size, plan.peer_seconds)

    async def one(system: System, rooms: list[Measured]) -> Json:
        return await latency.measure(rooms[0], load, system.processor)

    return {"viewers": viewers, "systems": await _each(systems, latency_key(viewers), 1, one)}


async def _throughput(systems: Sequence[System], plan: Plan, say: Callable[[str], None], shares: int) -> Json:
    say(f"peers: commits a second, publishers: {PUBLISHERS}, shares: {shares}")

    async def one(_system: System, rooms: list[Measured]) -> Json:
        return await throughput.measure(rooms, PUBLISHERS, plan.peer_seconds, plan.size)

    found = await _each(systems, throughput_key(shares), shares, one)
    return {"publishers": PUBLISHERS, "shares": shares, "systems": found}


async def _state(systems: Sequence[System], plan: Plan, say: Callable[[str], None]) -> Json:
    items = plan.reconnect_state
    say(f"peers: connect -> full state, {items:,} items")

    async def one(_system: System, rooms: list[Measured]) -> Json:
        await rooms[0].fill_up(items, plan.size)
        loads = [await rooms[0].full_state(items) for _ in range(plan.state_repetitions + 1)][1:]
        return {
            "items": items,
            "received_items": min(load.items for load in loads),
            "p50_ms": round(percentile([load.milliseconds for load in loads], 50), 1),
            "max_ms": round(max(load.milliseconds for load in loads), 1),
            "bytes": loads[-1].bytes,
        }

    return {"items": items, "systems": await _each(systems, state_key(items), 1, one)}


async def _order(systems: Sequence[System], plan: Plan, say: Callable[[str], None]) -> Json:
    say(f"peers: {IN_FLIGHT} publications of one item in flight")

    async def one(_system: System, rooms: list[Measured]) -> Json:
        return await ordering.measure(rooms[0], IN_FLIGHT, plan.order_rounds, plan.size)

    return await _each(systems, "order", 1, one)


async def _stall(systems: Sequence[System], plan: Plan, say: Callable[[str], None]) -> Json:
    say("peers: a reader that stalls")

    async def one(system: System, rooms: list[Measured]) -> Json:
        return await stalling.measure(rooms[0], system.memory, plan.stall_megabytes, plan.stall_seconds)

    return await _each(systems, "stall", 1, one)


async def _killed(systems: Sequence[System], plan: Plan, say: Callable[[str], None]) -> Json:
    say("peers: kill -9 while publishing")
    return {each.name: await killing.measure(each.server, plan.size) for each in systems if each.server}
