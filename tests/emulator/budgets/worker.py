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


async def call(budgets: Reservations, caller: Caller, claim: int, chance: random.Random) -> None:
    reservation = caller.reservation(claim, lease=20)
    try:
        await budgets.reserve(reservation, caller.facts(reservation))
    except (BudgetBusy, BudgetExhausted) as refused:
        say("refused", code=refused.code, **dict(refused.details))
        return
    say("reserved", call=reservation.id)
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
    await asyncio.gather(*(call(budgets, caller, asked["claim"], chance) for _ in range(asked["calls"])))
    await dynamodb.close()


if __name__ == "__main__":
    asyncio.run(work(json.loads(sys.stdin.readline())))
