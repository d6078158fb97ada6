"""Upstreams that fail in every way, behind the deployed gateway.

No call hangs, ends without an error, remains unbilled, or is billed twice. All trials run at once when the first test
needs them, because most of them wait for timers.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google.genai import errors as google_errors

from tests.upstreams import Fault, Kind, Script, Usage
from tests.upstreams.faults import HUGE
from tests.upstreams.sdks import SDKS, Answer, BrokenStream
from tests.upstreams.world import REQUEST, TIMERS, UPSTREAM_OF, Shop, World, ask, cost_of, model_of
from tests.waiting import PATIENCE, eventually, until

pytestmark = pytest.mark.xdist_group("gateway")

FORMATS = sorted(SDKS)
SAY = "one two three four five six seven eight nine ten eleven twelve"
USED = Usage(input=500, output=12)
AFTER = 7
"""The number of events before a fault. In each format they contain some text."""
LONGEST_SECONDS = TIMERS["total"] + PATIENCE
"""The longest timer, plus a margin for a busy machine."""
AT_ONCE = 12

BEFORE = {
    "500": Fault(Kind.STATUS, status=500),
    "503": Fault(Kind.STATUS, status=503),
    "529": Fault(Kind.STATUS, status=529),
    "429": Fault(Kind.STATUS, status=429),
    "401": Fault(Kind.STATUS, status=401),
    "403": Fault(Kind.STATUS, status=403),
    "404": Fault(Kind.STATUS, status=404),
    "reset": Fault(Kind.RESET),
    "hang": Fault(Kind.HANG),
    "headers, then hang": Fault(Kind.HEADERS_THEN_HANG),
    "web page": Fault(Kind.HTML),
    "empty": Fault(Kind.EMPTY),
    "garbage at once": Fault(Kind.GARBAGE, after=0),
    "error event at once": Fault(Kind.ERROR_EVENT, after=0),
}
"""No useful byte comes, so the client gets an HTTP error."""
STATUSES = {"429": {429}, "503": {503}, "529": {503}, "hang": {504}, "headers, then hang": {504}}
STATUSES["error event at once"] = {502, 503}
"""The expected status of faults that do not lead to 502."""
HEAVY = ("drip", "10 MB at once")
"""Faults that keep the machine busy. They run apart, so that the timers of others do not run out."""
AMIDST = {
    "stall": Fault(Kind.STALL, after=AFTER),
    "cut": Fault(Kind.CUT, after=AFTER),
    "truncated": Fault(Kind.TRUNCATE, after=AFTER),
    "ended early": Fault(Kind.END, after=AFTER),
    "garbage": Fault(Kind.GARBAGE, after=AFTER),
    "error event": Fault(Kind.ERROR_EVENT, after=AFTER),
}
"""The answer breaks off after some text."""
HARMLESS = {
    "storm of 503": Fault(Kind.STATUS, status=503, times=2),
    "storm of 429": Fault(Kind.STATUS, status=429, times=1, retry_after="1"),
    "two resets": Fault(Kind.RESET, times=2),
    "drip": Fault(Kind.DRIP),
    "10 MB at once": Fault(Kind.HUGE),
    "usage missing": Fault(Kind.NO_USAGE),
}
"""The whole answer arrives in the end."""
FAULTS = {**BEFORE, **AMIDST, **HARMLESS}
STREAMED = {True: "streamed", False: "whole"}
ERRORS = (openai.APIError, anthropic.APIError, google_errors.APIError, BrokenStream)


@dataclass
class Trial:
    """The result of one call."""

    script: Script
    seconds: float = 0.0
    answer: Answer | None = None
    error: Exception | None = None

    @property
    def status(self) -> int:
        """Return the status of an answer that is an error."""
        return getattr(self.error, "status_code", None) or getattr(self.error, "code", None) or 0


Trials = dict[tuple[str, str, bool], Trial]


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    return world.shop()


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest, shop: Shop) -> Trials:
    """Return the trials that the selected tests need."""
    chosen = sorted({trial for item in request.session.items if (trial := trial_of(item))})
    heavy = [trial for trial in chosen if trial[0] in HEAVY]
    found: Trials = {}
    for at_once, wanted in ((AT_ONCE, [trial for trial in chosen if trial not in heavy]), (1, heavy)):
        with ThreadPoolExecutor(at_once) as pool:
            found |= zip(wanted, pool.map(lambda each: attempt(shop, *each), wanted), strict=True)
    return found


def trial_of(item: pytest.Item) -> tuple[str, str, bool] | None:
    """Return fault, format and streaming of a test that has all of them."""
    given = getattr(item, "callspec", None)
    if given is None or not given.params.keys() >= {"fault", "asked", "stream"}:
        return None
    return given.params["fault"], given.params["asked"], given.params["stream"]


def attempt(shop: Shop, fault: str, format_: str, stream: bool, model: str = "") -> Trial:
    pause = 0.03 if fault in AMIDST else 0.0  # so that some text is passed on before the interruption
    script = Script(say=SAY, usage=USED, faults={UPSTREAM_OF[format_]: FAULTS[fault]}, pause=pause)
    trial, began = Trial(script), time.monotonic()
    try:
        trial.answer = ask(shop.sdk(format_), model or model_of(format_), script, stream=stream)
    except Exception as error:  # noqa: BLE001 - judged by the test
        trial.error = error
    trial.seconds = time.monotonic() - began
    return trial


def each_with_every_format(faults: dict[str, Fault]) -> Any:
    """Return each fault with every format, streamed and not. All but two tests of each fault are slow tests."""
    cases: list[Any] = []
    for fault, asked, stream in itertools.product(faults, FORMATS, STREAMED):
        turn = list(FAULTS).index(fault) + (0 if stream else 2)
        quick = FORMATS[turn % len(FORMATS)] == asked
        marks = [] if quick else [pytest.mark.slow]
        cases.append(pytest.param(fault, asked, stream, id=f"{fault}-{asked}-{STREAMED[stream]}", marks=marks))
    return pytest.mark.parametrize(("fault", "asked", "stream"), cases)


@each_with_every_format(FAULTS)
def test_no_call_outlasts_the_timers(trials: Trials, fault: str, asked: str, stream: bool) -> None:
    assert trials[fault, asked, stream].seconds < LONGEST_SECONDS


@each_with_every_format(BEFORE)
def test_an_upstream_that_never_answers_is_an_http_error_and_costs_nothing(
    shop: Shop, trials: Trials, fault: str, asked: str, stream: bool
) -> None:
    trial = trials[fault, asked, stream]
    assert isinstance(trial.error, ERRORS), trial
    assert trial.status in STATUSES.get(fault, {502}), trial.error
    event = shop.event(trial.script)
    assert (event.outcome, event.cost, event.tokens.total, event.status) == ("failed", 0, 0, trial.status)
    assert event.attempts == len(shop.world.upstreams.of(trial.script))


@each_with_every_format(AMIDST)
def test_an_answer_that_breaks_off_says_so_and_what_was_streamed_is_charged(
    shop: Shop, trials: Trials, fault: str, asked: str, stream: bool
) -> None:
    trial = trials[fault, asked, stream]
    assert isinstance(trial.error, ERRORS), trial
    event = shop.event(trial.script)
    if not stream:  # no byte has reached the client, so the gateway tried again
        assert (event.outcome, event.cost) == ("failed", 0)
        return
    assert (event.outcome, event.attempts) == ("interrupted", 1)
    assert event.tokens.prompt > 0
    assert 0 < event.tokens.output <= 12
    assert event.cost == cost_of(event)


@each_with_every_format(HARMLESS)
def test_what_comes_in_the_end_comes_whole_and_is_charged_once(
    shop: Shop, trials: Trials, fault: str, asked: str, stream: bool
) -> None:
    trial = trials[fault, asked, stream]
    assert trial.answer is not None, trial.error
    expected = "x" * HUGE + SAY if fault == "10 MB at once" else SAY
    assert (trial.answer.text == expected, trial.answer.stop) == (True, "end")
    event = shop.event(trial.script)
    assert (event.outcome, event.cost) == ("completed", cost_of(event))
    if fault == "usage missing":
        assert event.estimated
        assert event.tokens.prompt > 0 < event.tokens.output
    else:
        assert (event.tokens.input, event.tokens.output, event.estimated) == (500, 12, False)
    assert event.attempts == 1 + FAULTS[fault].times


FAILING_OVER = (
    "500",
    "429",
    "401",
    "404",
    "reset",
    "hang",
    "headers, then hang",
    "web page",
    "empty",
    "garbage at once",
)


@pytest.fixture(scope="module")
def failed_over(shop: Shop) -> dict[tuple[str, str], Trial]:
    wanted = list(itertools.product(FAILING_OVER, FORMATS))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = pool.map(lambda each: attempt(shop, *each, stream=True, model=f"steady-{each[1]}"), wanted)
        return dict(zip(wanted, made, strict=True))


@pytest.mark.parametrize("asked", FORMATS)
@pytest.mark.parametrize("fault", FAILING_OVER)
def test_another_upstream_answers_in_place_of_one_that_fails(
    shop: Shop, failed_over: dict[tuple[str, str], Trial], fault: str, asked: str
) -> None:
    trial = failed_over[fault, asked]
    assert trial.answer is not None, trial.error
    assert (trial.answer.text, trial.answer.stop) == (SAY, "end")
    event = shop.event(trial.script)
    assert (event.upstream, event.outcome, event.cost) == ("second", "completed", cost_of(event))
    assert (event.tokens.input, event.tokens.output) == (500, 12)


def test_an_address_at_which_nobody_listens(shop: Shop) -> None:
    began, script = time.monotonic(), Script()
    assert ask(shop.sdk("chat"), "unreachable-first", script).text == "Done."
    assert shop.event(script).upstream == "second"
    with pytest.raises(openai.APIStatusError) as raised:
        ask(shop.sdk("chat"), "unreachable", Script())
    assert raised.value.status_code == 502
    assert time.monotonic() - began < LONGEST_SECONDS


def body_of(format_: str, script: Script, model: str) -> tuple[str, dict[str, Any]]:
    """Return path and body of a streamed request."""
    prompt = script.prompt()
    message = {"role": "user", "content": prompt}
    match format_:
        case "chat":
            return "/zen/v1/chat/completions", {"model": model, "stream": True, "messages": [message]}
        case "responses":
            return "/zen/v1/responses", {"model": model, "stream": True, "input": prompt}
        case "messages":
            wish = {"model": model, "stream": True, "max_tokens": 100, "messages": [message]}
            return "/zen/v1/messages", wish
        case _:
            path = f"/zen/v1/models/{model}:streamGenerateContent?alt=sse"
            return path, {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}


def streaming(shop: Shop, format_: str, script: Script, model: str) -> Any:
    path, body = body_of(format_, script, model)
    headers = {"authorization": f"Bearer {shop.key}", REQUEST: script.tag}
    return httpx.stream("POST", f"{shop.world.stack.url}{path}", json=body, headers=headers, timeout=PATIENCE)


def gone(shop: Shop, script: Script) -> None:
    """Tell whether the upstream has noticed that the client disconnected."""
    (record,) = shop.world.upstreams.of(script)
    assert record.disconnected


@pytest.mark.parametrize("spoken", ["same", "other"])
@pytest.mark.parametrize("asked", FORMATS)
def test_a_client_that_leaves_ends_the_upstream_s_work_and_pays_for_what_was_made(
    shop: Shop, asked: str, spoken: str
) -> None:
    other = FORMATS[(FORMATS.index(asked) + 1) % len(FORMATS)]
    model = model_of(asked if spoken == "same" else other)
    script = Script(say="word " * 200, pause=0.05)
    with streaming(shop, asked, script, model) as answer:
        seen = b""
        for chunk in answer.iter_bytes():
            seen += chunk
            if seen.count(b"word") >= 5:
                break
    eventually(lambda: gone(shop, script))
    event = shop.event(script)
    assert (event.outcome, event.status, event.cost) == ("cancelled", 499, cost_of(event))
    assert event.tokens.prompt > 0
    assert 0 < event.tokens.output < 200


def test_a_client_that_leaves_before_the_first_byte_ends_the_upstream_s_work(shop: Shop) -> None:
    script = Script(faults={"*": Fault(Kind.HANG)})
    path, body = body_of("chat", script, model_of("chat"))
    headers = {"authorization": f"Bearer {shop.key}", REQUEST: script.tag}
    front_door = HTTPConnection(shop.world.stack.url.removeprefix("http://"))
    front_door.request("POST", path, json.dumps(body), headers)
    until(lambda: shop.world.upstreams.of(script))
    front_door.close()
    eventually(lambda: gone(shop, script))
    assert shop.event(script).outcome == "cancelled"


def words_of(answer: httpx.Response) -> Iterator[float]:
    """Return the times at which words arrive."""
    for chunk in answer.iter_bytes():
        yield from [time.monotonic()] * chunk.count(b"word")


@pytest.mark.parametrize("spoken", ["same", "other"])
@pytest.mark.parametrize("asked", FORMATS)
def test_an_answer_is_passed_on_as_it_comes(shop: Shop, asked: str, spoken: str) -> None:
    other = FORMATS[(FORMATS.index(asked) + 1) % len(FORMATS)]
    script = Script(say=" ".join(["word"] * 10), pause=0.15)
    with streaming(shop, asked, script, model_of(asked if spoken == "same" else other)) as answer:
        times = list(words_of(answer))
    assert times[9] - times[0] > 0.15, "not all at once in the end"


@pytest.mark.slow
@pytest.mark.parametrize("asked", FORMATS)
def test_a_long_silence_is_covered_by_heartbeats_that_no_client_minds(shop: Shop, asked: str) -> None:
    raw, script = Script(say="At last.", wait=11.5), Script(say="At last.", wait=11.5)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, shop.sdk(asked), "patient", script)
        path, body = body_of(asked, raw, "patient")
        headers = {"authorization": f"Bearer {shop.key}"}
        with httpx.stream(
            "POST", f"{shop.world.stack.url}{path}", json=body, headers=headers, timeout=PATIENCE
        ) as streamed:
            first = next(streamed.iter_raw())
        assert first == (b"\n" if asked == "generate" else b": keep-alive\n\n")
        assert (answer.result().text, answer.result().stop) == ("At last.", "end")
