"""A minimal gateway process: it reserves calls, waits, and settles them. A test can kill it at any time.

It reads the callers (JSON) from its first line of input, and writes a line for each event.
"""

import asyncio
import json
import random
import sys
from typing import Any

import msgspec

from opencode_cloud.budgets.service import Reservations
from opencode_cloud.budgets.store import CounterStore, counters
from opencode_cloud.contracts.access import KnownKey, KnownMember, KnownWorkspace
from opencode_cloud.contracts.budgets import BudgetBusy, BudgetExhausted
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from tests.emulator.budgets.calls import Caller


def say(what: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **more}) + "\n")
    sys.stdout.flush()


class Kept:
    """The first call that a process reserves, if it is one that dies: it is never settled."""

    def __init__(self, *, dies: bool) -> None:
        self._free = dies

    async def keep(self) -> None:
        """Wait for ever with the first reserved call of a process that dies."""
        if self._free:
            self._free = False
            await asyncio.Event().wait()


async def call(budgets: Reservations, caller: Caller, claim: int, chance: random.Random, kept: Kept) -> None:
    reservation = caller.reservation(claim, lease=20)
    try:
        await budgets.reserve(reservation, caller.facts(reservation))
    except (BudgetBusy, BudgetExhausted) as refused:
        say("refused", code=refused.code, **dict(refused.details))
        return
    say("reserved", call=reservation.id)
    await kept.keep()
    await asyncio.sleep(chance.uniform(0, 0.4))
    used = chance.randint(0, claim)
    await budgets.settle(reservation, caller.used(reservation, used))
    say("settled", call=reservation.id, cost=used)


counters.RESERVE = counters.SETTLE
"""This is not a test of speed: on a busy machine conflicts last longer."""


async def work(asked: dict[str, Any]) -> None:
    dynamodb = AsyncDynamoDB()
    budgets = Reservations(CounterStore(dynamodb, asked["budgets"], asked["usage"]))
    caller = Caller(at=asked["at"])
    caller.workspace = msgspec.convert(asked["workspace"], KnownWorkspace)
    caller.member = msgspec.convert(asked["member"], KnownMember)
    caller.key = msgspec.convert(asked["key"], KnownKey)
    chance = random.Random(asked["seed"])
    kept = Kept(dies=asked["dies"])
    await asyncio.gather(*(call(budgets, caller, asked["claim"], chance, kept) for _ in range(asked["calls"])))
    await dynamodb.close()


if __name__ == "__main__":
    asyncio.run(work(json.loads(sys.stdin.readline())))
