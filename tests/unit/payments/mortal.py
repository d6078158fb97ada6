"""A process that runs one flow of money at a time, and is killed (SIGKILL) after a given number of its steps.

Steps are statements of SQL, and requests to Stripe: before and after each. The program imports everything once, and
forks a child for each flow, as a new process of a function would begin.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import event as sql_events

from opencode_cloud.billing.service.expiring import Expiries
from opencode_cloud.billing.store.reading import LedgerReader
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import PaymentId, WorkspaceId
from opencode_cloud.kit.sql import Database
from opencode_cloud.webhooks.service.sending import DeliverySender
from opencode_cloud.webhooks.store.deliveries import DeliveryStore
from tests.stripe_stand_in import StandIn
from tests.unit.billing.books import Books
from tests.unit.payments.shop import PAYER, Shop
from tests.unit.usage.events import WORKSPACE
from tests.unit.workspaces.team import KEY, Place
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
ANN = Actor(kind=ActorKind.OPERATOR, name="ann", role="owner")


class Order(msgspec.Struct):
    """A flow to run, and the number of the step after which it dies."""

    flow: str
    given: Any
    fatal: int


class Mortal:
    """The program, as a test uses it."""

    def __init__(self, shop: Shop) -> None:
        url = shop.books.database.engine.url.render_as_string(hide_password=False)
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.payments.mortal", url, shop.server.url, shop.stand_in.key],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, flow: str, fatal: int, given: Any = None) -> bool:
        """Run a flow; return whether it was killed before its end."""
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.write(json.dumps({"flow": flow, "given": given, "fatal": fatal}) + "\n")
        self._program.stdin.flush()
        status = os.waitstatus_to_exitcode(int(self._program.stdout.readline()))
        assert status in (0, -signal.SIGKILL)
        return status != 0

    def end(self) -> None:
        """End the program."""
        assert self._program.stdin
        self._program.stdin.close()
        self._program.wait(timeout=PATIENCE)


class Founded(Books):
    """Books of workspaces that exist."""

    def found(self, *workspace_ids: WorkspaceId) -> None:
        """Leave the workspaces as they are."""


class Server:
    """The address of the stand-in for Stripe."""

    def __init__(self, url: str) -> None:
        self.url = url


def deliver(shop: Shop, given: Any) -> None:
    """Take a webhook."""
    shop.deliver(given)


def pay_back(shop: Shop, given: Any) -> None:
    """Order a refund, and carry it out."""
    order = shop.refund_orders.order(ANN, PaymentId(given["payment"]), given["amount"], "r", given["key"])
    shop.refunding.run(order.id)


def reload(shop: Shop, given: Any) -> None:
    """Book usage that crosses the threshold, and charge the card."""
    shop.books.take(shop.books.use(given["number"], given["amount"]))
    shop.reloading.run(WORKSPACE)


def sweep(shop: Shop, _given: Any) -> None:
    """Apply what never arrived."""
    shop.receiving.sweep()


def start_plan(shop: Shop, _given: Any) -> None:
    """Start a plan by the saved card."""
    shop.planning.begin_by_card(PAYER, WORKSPACE, "https://cloud.example.com")


def follow(shop: Shop, _given: Any) -> None:
    """Send seats to Stripe, and tell of renewals."""
    shop.following.sweep()


def expire(shop: Shop, _given: Any) -> None:
    """Book the expiry of credit."""
    Expiries(shop.books.booking, LedgerReader(shop.books.database, shop.books.store)).run()


def send(shop: Shop, given: Any) -> None:
    """Send a message to a webhook that accepts everything."""
    sender(shop).send(given)


def sender(shop: Shop) -> DeliverySender:
    """Return what sends to a webhook that accepts everything."""

    class Accepting:
        def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
            assert url
            assert headers
            assert body
            return 200

    return DeliverySender(shop.books.database, DeliveryStore(), Accepting(), lambda: KEY, lambda *_: None)


FLOWS: dict[str, Callable[[Shop, Any], None]] = {
    each.__name__: each for each in (deliver, pay_back, reload, sweep, start_plan, follow, expire, send)
}


def live(url: str, stripe_url: str, key: str, order: Order) -> None:
    """Run a flow until its end, or until it dies."""
    database, left = Database(url), order.fatal
    server: Any = Server(stripe_url)
    shop = Shop(Founded(Place(database)), server)
    shop.stand_in = StandIn(server, key)

    def step(*_: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    api: Any = shop.api
    ask = api.ask

    def asked(request: Callable[[], Any]) -> Any:
        step()
        answer = ask(request)
        step()
        return answer

    api.ask = asked
    sql_events.listen(database.engine, "after_cursor_execute", step)
    FLOWS[order.flow](shop, order.given)


def main() -> None:
    """Run flows in children, one for each line of the input; answer with the status of each child."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.stdin.close()
            # The log of the flow is no answer.
            os.dup2(2, 1)
            _, url, stripe_url, key = sys.argv
            live(url, stripe_url, key, msgspec.json.decode(line, type=Order))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
