"""The API over HTTP: keys, versions, parameters, idempotency, expansion. See `resources` for the methods."""

import asyncio
import json
import logging
import secrets
import signal
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from local.browsers import is_ours
from local.stripe import faults, forms, parameters
from local.stripe.account import API_VERSION, Account
from local.stripe.control import Control
from local.stripe.errors import ParametersRefused, StripeError, lacking
from local.stripe.faults import ConnectionDropped, Fault, Planned
from local.stripe.idempotency import Answer
from local.stripe.listing import expand
from local.stripe.pages import Pages
from local.stripe.resources import (
    charges,
    checkout,
    clocks,
    credit_notes,
    customers,
    events,
    intents,
    invoices,
    products,
    subscriptions,
    taxes,
)
from local.stripe.routing import Method, Methods

logger = logging.getLogger(__name__)
HOST = "127.0.0.1"
METHODS = Methods(
    charges.methods,
    checkout.methods,
    clocks.methods,
    credit_notes.methods,
    customers.methods,
    events.methods,
    intents.methods,
    # Before the invoices, whose path with an id would fit previews too.
    subscriptions.methods,
    invoices.methods,
    products.methods,
    taxes.methods,
)
KEY_FORMS = ("sk_test_", "rk_test_")


class Server:
    """The stand-in: one account for each secret key, made when the key is first used."""

    def __init__(self, url: str) -> None:
        """Serve at the origin `url`."""
        self._url = url
        self._accounts: dict[str, Account] = {}

    def application(self) -> web.Application:
        """Return the web application."""
        made = web.Application(middlewares=[only_this_machine])
        made.add_routes(Pages(self._accounts).routes())
        made.add_routes(Control(self._account).routes())
        made.router.add_route("*", "/{path:.*}", self.answer)

        async def stop(_: web.Application) -> None:
            for account in self._accounts.values():
                account.deliveries.stop()

        made.on_shutdown.append(stop)
        return made

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of the API."""
        request_id = f"req_{secrets.token_hex(7)}"
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
        try:
            found = await self._answer(request, request_id)
        except StripeError as error:
            found = Answer(error.status, error.body, error.headers)
        except ConnectionDropped:
            return _drop(request)
        return web.json_response(found.body, status=found.status, headers=headers | found.headers)

    async def _answer(self, request: web.Request, request_id: str) -> Answer:
        account = self._account(request)
        if request.headers.get("Stripe-Version", API_VERSION) != API_VERSION:
            raise lacking(f"other API versions than {API_VERSION}")
        planned = account.faults.take(request.method, request.path)
        if planned and planned.fault is Fault.RATE_LIMIT:
            raise faults.rate_limited()
        found = METHODS.find(request.method, request.path)
        if found is None:
            raise lacking(f"the method {request.method} {request.path}")
        method, ids = found
        given = forms.decode(await _sent(request))
        values = parameters.check(method.parameters, given, method.handled)
        call = Call(account, method, ids, values, request_id)
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        if key is None:
            answer = await call.run(planned)
        else:
            fingerprint = (request.method, request.path, json.dumps(given, sort_keys=True))
            known = account.answers.begin(key, fingerprint, request_id)
            answer = known or await call.run_kept(key, planned)
        if planned and planned.fault is Fault.DROP_AFTER:
            raise ConnectionDropped
        return answer

    def _account(self, request: web.Request) -> Account:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not key.startswith(KEY_FORMS):
            raise StripeError(401, "invalid_request_error", "Give a secret key of the test mode: sk_test_...")
        if key not in self._accounts:
            self._accounts[key] = Account(self._url)
        return self._accounts[key]


class Call:
    """One request whose parameters are in order."""

    def __init__(self, account: Account, method: Method, ids: tuple[str, ...], values: Any, request_id: str) -> None:
        """Call `method` with the ids of the path and typed parameters."""
        self._account, self._method, self._ids = account, method, ids
        self._expand: list[str] = values.pop("expand", [])
        self._values = values
        self._request_id = request_id

    async def run(self, planned: Planned | None, key: str | None = None) -> Answer:
        """Execute, and return the answer, also of a failure.

        Raises:
            ParametersRefused: The parameters do not fit after all.
            ConnectionDropped: A fault ends the connection before anything is done.
        """
        try:
            await faults.before(planned)
            self._account.request = {"id": self._request_id, "idempotency_key": key}
            body = self._method.run(self._account, self._values, self._ids)
            return Answer(200, expand(self._account, body, self._expand))
        except ParametersRefused:
            raise
        except StripeError as error:
            return Answer(error.status, json.loads(json.dumps(error.body)), error.headers)

    async def run_kept(self, key: str, planned: Planned | None) -> Answer:
        """Execute under an idempotency key that has begun, and keep the answer."""
        try:
            answer = await self.run(planned, key)
        except BaseException:
            self._account.answers.drop(key)
            raise
        self._account.answers.keep(key, answer)
        return answer


@web.middleware
async def only_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse other names of this machine: a page of another site must not reach it by a name of its own."""
    if not is_ours(request.headers.get("Host", "")):
        raise web.HTTPMisdirectedRequest(text="The stand-in answers names of the loopback interface only.")
    return await handler(request)


async def _sent(request: web.Request) -> str:
    if request.method == "GET":
        return request.rel_url.raw_query_string
    text = await request.text()
    if text and request.content_type != "application/x-www-form-urlencoded":
        raise StripeError(400, "invalid_request_error", "Send parameters as application/x-www-form-urlencoded.")
    return text or request.rel_url.raw_query_string


def _drop(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


async def serve(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runner = web.AppRunner(Server(f"http://{HOST}:{port}").application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await ended.wait()
    await runner.cleanup()
