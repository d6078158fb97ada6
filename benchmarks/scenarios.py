"""The parts of a run, each a coroutine that returns its result."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import latency, loading, redaction, throughput
from benchmarks.peers import measuring as peers
from benchmarks.peers.rooms import Measured, OurShare
from benchmarks.plan import Plan
from benchmarks.posting import NO_HEADERS
from benchmarks.rooms import Floor, Share
from benchmarks.sandbox import ALL, deployed_environment
from benchmarks.stage import ROOT, STATE, Durability, Stage
from benchmarks.summary import percentile

Json = dict[str, Any]
OUR_DURABILITY: dict[Durability, str] = {
    "disk": "power cut: the emulator syncs its journal before it acknowledges",
    "process": "killed process: the emulator syncs its journal once a second",
}
WARM_VIEWERS = 4
WARM_UPDATES = 20
SETTLE_SECONDS = 60.0
CALM = 2.0  # permitted factor of a health check's duration, compared with the beginning


class Scenarios:
    """All measurements on a stage with the floor beside it."""

    def __init__(
        self, stage: Stage, floor_url: str, plan: Plan, http: aiohttp.ClientSession, say: Callable[[str], None]
    ) -> None:
        self._stage = stage
        self._floor_url = floor_url
        self._plan = plan
        self._http = http
        self._say = say
        self._idle_ms = 0.0
        self._known: dict[str, Json] = {}
        """Our figures that the part `peers` compares, by its names of them."""

    def all(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """Return the parts by name, in the order in which they run."""
        return {
            "memory_idle": self.memory,
            "accounting": self.accounting,
            "team": self.team,
            "model_calls": self.model_calls,
            "gateway": self.gateway,
            "many_streams": self.many_streams,
            "torture": self.torture,
            "redaction": self.redaction,
            "latency": self.latency,
            "memory_after_viewers": self.memory,
            "item_sizes": self.item_sizes,
            "throughput": self.throughput,
            "state": self.state,
            "memory_after_states": self.memory,
            "long_page": self.long_page,
            "lighthouse": self.lighthouse,
            "peers": self.peers,
        }

    async def warm_up(self) -> None:
        """Start a worker of every function, by one short-lived share with viewers."""
        self._say("waking the functions")
        await self._settle()
        share = await Share.create(self._http, self._stage.url)
        sockets = await asyncio.gather(*(share.join(lambda _stamp, _now: None) for _ in range(WARM_VIEWERS)))
        for _ in range(WARM_UPDATES):
            await share.publish(self._plan.size)
        for socket in sockets:
            socket.close()
        await asyncio.sleep(loading.SETTLE_SECONDS)
        await self._remove([share])

    async def memory(self) -> Json:
        """Return the memory of the stage's processes now."""
        await self._settle()
        return self._stage.memory()

    async def accounting(self) -> Json:
        """Count and price calls, in a separate process."""
        self._say("counting the AWS calls of every operation")
        os.environ.update(self._stage.credentials)
        environment = await asyncio.to_thread(deployed_environment)
        sizes = ("--publishes", self._plan.session_publishes, "--repetitions", self._plan.repetitions)
        return await self._apart("benchmarks.accounting", environment, *sizes)

    async def redaction(self) -> Json:
        """Measure the search for secrets, in a thread of this process."""
        self._say("searching published text for secrets")
        return await asyncio.to_thread(redaction.measure)

    async def team(self) -> Json:
        """Measure the console plane, in a process of its own."""
        self._say("logging in, configuration, keys; cold starts of every function")
        os.environ.update(self._stage.credentials)
        sizes = ("--repetitions", self._plan.repetitions, "--starts", self._plan.starts)
        return await self._apart("benchmarks.team", await asyncio.to_thread(deployed_environment, ALL), *sizes)

    async def model_calls(self) -> Json:
        """Count the AWS calls of a model call, in a process of its own."""
        self._say("counting the AWS calls of a model call")
        os.environ.update(self._stage.credentials)
        environment = await asyncio.to_thread(deployed_environment, ALL)
        return await self._apart("benchmarks.gateway", environment, "--count")

    async def gateway(self) -> Json:
        """Measure model calls, ours and LiteLLM's in turn, in a process of its own."""
        self._say("model calls: directly, through us, through LiteLLM's proxy")
        os.environ.update(self._stage.credentials)
        pids = ",".join(map(str, self._stage.gateway_pids()))
        sizes = ("--rounds", self._plan.gateway_rounds, "--seconds", self._plan.gateway_seconds)
        environment = await asyncio.to_thread(deployed_environment, ALL)
        where = ("--gateway", self._stage.gateway_url, "--pids", pids)
        return await self._apart("benchmarks.gateway", environment, *where, *sizes)

    async def many_streams(self) -> Json:
        """Measure hundreds of fast streams at once, in a process of its own."""
        self._say("hundreds of fast streams at once: directly, through us, through LiteLLM's proxy")
        os.environ.update(self._stage.credentials)
        environment = await asyncio.to_thread(deployed_environment, ALL)
        return await self._apart("benchmarks.many_streams", environment, "--rounds", self._plan.gateway_rounds)

    async def torture(self) -> list[Json]:
        """Torture budgets of US$1, ours and LiteLLM's in turn, and write the table into README.md."""
        self._say("budgets: 500 calls at once on one dollar, with cancels, failures and a killed process")
        os.environ.update(self._stage.credentials)
        environment = await asyncio.to_thread(deployed_environment, ALL)
        return await self._apart("benchmarks.torture", environment, "--write")

    async def _apart(self, module: str, environment: dict[str, str], *options: object) -> Any:
        """Run a module that writes its result to a file, and return that."""
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            command = (sys.executable, "-m", module, self._stage.url, result, *options)
            process = await asyncio.create_subprocess_exec(
                *map(str, command), cwd=ROOT, env={**os.environ, **environment}, stdout=asyncio.subprocess.DEVNULL
            )
            if await process.wait():
                raise RuntimeError(f"{module} failed; its error is above")
            return json.loads(result.read_text())

    async def latency(self) -> list[Json]:
        """Measure publish -> received for every number of viewers, ours and the floor in turn."""
        found: list[Json] = []
        for viewers in self._plan.viewers:
            self._say(f"publish -> received, viewers: {viewers:,}")
            found.append({"viewers": viewers, **await self._both(viewers, self._plan.size, self._plan.updates)})
            self._known[peers.latency_key(viewers)] = found[-1]["ours"]
        return found

    async def item_sizes(self) -> list[Json]:
        """Measure publish -> received by size of the item."""
        found: list[Json] = []
        for size in self._plan.item_sizes:
            self._say(f"publish -> received, items of {size:,} bytes")
            found.append({"size": size, **await self._both(self._plan.item_viewers, size, self._plan.item_updates)})
        return found

    async def throughput(self) -> list[Json]:
        """Measure commits a second on one share and on as many as there are publishers."""
        plan, found = self._plan, list[Json]()
        shares = [await Share.create(self._http, self._stage.url) for _ in range(max(plan.publishers))]
        for publishers in plan.publishers:
            for count in sorted({1, publishers}):
                self._say(f"commits a second, publishers: {publishers}, shares: {count}")
                result = await throughput.measure(shares[:count], publishers, plan.throughput_seconds, plan.size)
                floor = Floor(self._floor_url)
                beside = await throughput.measure([floor], publishers, min(1.0, plan.throughput_seconds), plan.size)
                found.append({**result, "floor_per_second": beside["commits_per_second"]})
                if publishers == peers.PUBLISHERS:
                    self._known[peers.throughput_key(count)] = result
        await self._remove(shares)
        return found

    async def state(self) -> Json:
        """Measure connect -> full state by number of items, and reconnects to the larger share."""
        states: list[Json] = []
        reconnect: Json = {}
        for items in self._plan.states:
            self._say(f"connect -> full state, {items:,} items")
            share = await Share.create(self._http, self._stage.url)
            filled = await loading.fill(share, items, self._plan.size)
            measured = await loading.measure_state(share, items, self._plan.state_repetitions)
            states.append({**measured, "filled_items_per_second": round(filled, 1)})
            self._known[peers.state_key(items)] = measured
            if items == self._plan.reconnect_state:
                missed, size = self._plan.missed, self._plan.size
                reconnect = await loading.measure_reconnect(share, missed, size, self._plan.state_repetitions)
            await self._remove([share])
        return {"states": states, "reconnect": reconnect}

    async def long_page(self) -> list[Json]:
        """Measure the page of long sessions in a browser."""
        from benchmarks import long_page  # imports Playwright

        found: list[Json] = []
        for parts in self._plan.page_parts:
            self._say(f"the page of a session of {parts:,} parts")
            share = await Share.create(self._http, self._stage.url)
            size = await long_page.fill(share, parts)
            measured = await long_page.measure(share, parts)
            found.append({**measured, "published_mb": round(size / 1e6, 1)})
            self._say(f"{parts:,} parts: {found[-1]}")
            await self._remove([share])
        return found

    async def lighthouse(self) -> Json:
        """Judge pages with Lighthouse, in a process of its own."""
        return await self._apart("benchmarks.lighthouse", {}, "--state", STATE, "--runs", self._plan.lighthouse_runs)

    async def peers(self) -> Json:
        """Measure the peers, and ours where no part before has done so."""
        stage = self._stage
        ours = [self._system(peers.OURS, "the deployed local stage", stage.url, known=self._known)]
        if stage.hub:
            about = "its hub without the front door, which stands in for a CDN"
            ours += [self._system(peers.HUB, about, stage.hub.url, stage.hub.headers)]
        return await peers.measure(ours, self._plan, self._say)

    def _system(
        self, name: str, about: str, url: str, headers: Mapping[str, str] = NO_HEADERS, known: Mapping[str, Json] = {}
    ) -> peers.System:
        async def create() -> Measured:
            return await OurShare.create(self._http, url, headers)

        durability = OUR_DURABILITY[self._stage.durability]
        processor = self._stage.processor
        return peers.System(name, about, durability, create, self._settle, self._resident, processor, known)

    def _resident(self) -> float:
        """Return the resident memory of the stage's processes, in megabytes."""
        return sum(size for name, size in self._stage.memory().items() if name != "workers")

    async def _both(self, viewers: int, size: int, updates: int) -> Json:
        plan = self._plan
        floor = Floor(self._floor_url)
        load = latency.Load(viewers, plan.rate, updates, size, plan.latency_seconds)
        beside = await latency.measure(floor, load)
        share = await Share.create(self._http, self._stage.url)
        ours = await latency.measure(share, load, self._stage.processor)
        await self._remove([share])
        return {"ours": ours, "floor": beside}

    async def _remove(self, shares: list[Share]) -> None:
        await asyncio.gather(*(share.remove() for share in shares))
        await self._settle()

    async def _settle(self) -> None:
        """Wait until the stage has finished background work: ending sockets, purges, snapshots."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (taken := await self._health_ms()) > CALM * self._idle_ms and time.monotonic() < deadline:
            self._idle_ms = self._idle_ms or taken
            await asyncio.sleep(0.5)

    async def _health_ms(self) -> float:
        """Return the median of ten health checks."""
        taken: list[float] = []
        for _ in range(10):
            began = time.monotonic()
            async with self._http.get(f"{self._stage.url}/health") as answer:
                await answer.read()
            taken.append((time.monotonic() - began) * 1000)
        return percentile(taken, 50)
