"""The scripted upstreams speak the providers' formats: the providers' own SDKs understand them."""

import hashlib
import itertools
import json
from collections.abc import Iterator

import httpx
import pytest
from botocore.eventstream import EventStreamBuffer

from tests.upstreams import Call, Fault, Kind, Script, Upstreams, Usage, running
from tests.upstreams.sdks import SDKS, Question
from tests.waiting import PATIENCE

PNG = b"\x89PNG not really"
USED = Usage(input=300, cache_read=40, output=25, reasoning=5)
FORMATS = sorted(SDKS)


@pytest.fixture(scope="module")
def upstreams() -> Iterator[Upstreams]:
    with running() as server:
        yield server


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_a_text_with_reasoning_comes_with_its_usage(upstreams: Upstreams, name: str, stream: bool) -> None:
    script = Script(say="It is sunny  today.\n", think="Let me look outside.", usage=USED)
    answer = SDKS[name](upstreams.base("one", ""), "key").ask("m", Question(script.prompt()), stream=stream)
    assert (answer.text, answer.thought, answer.stop) == (script.say, script.think, "end")
    assert (answer.prompt_tokens, answer.cached_tokens, answer.output_tokens) == (340, 40, 25)
    (record,) = upstreams.ended(script)
    assert (record.upstream, record.notes["stream"], record.disconnected) == ("one", stream, False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_tools_are_called_in_parallel_and_their_results_come_back(
    upstreams: Upstreams, name: str, stream: bool
) -> None:
    calls = (Call("weather", {"place": "Bern"}), Call("time", {"place": "Zürich"}))
    script = Script(say="Sunny at noon.", think="Two things to find out.", steps=(calls,))
    sdk = SDKS[name](upstreams.base("one", ""), "key")
    question = Question(script.prompt(), system="Be brief.", tools=("weather", "time"))
    answer = sdk.ask("m", question, stream=stream)
    assert [(tool, arguments) for _, tool, arguments in answer.calls] == [(call.tool, call.arguments) for call in calls]
    assert answer.stop == "calls"

    history = sdk.results(answer, ["sunny", "noon"])
    last = sdk.ask("m", Question(script.prompt(), tools=question.tools, history=history), stream=stream)
    assert (last.text, last.stop) == ("Sunny at noon.", "end")
    heard = upstreams.of(script)[-1].notes["heard"]
    assert ["sunny" in heard["results"][0], "noon" in heard["results"][1]] == [True, True]
    assert heard["called"] == ['weather {"place": "Bern"}', 'time {"place": "Z\\u00fcrich"}']


@pytest.mark.parametrize("name", FORMATS)
def test_an_upstream_says_what_it_understands(upstreams: Upstreams, name: str) -> None:
    script = Script(describe=True)
    question = Question(script.prompt(), system="Be brief.", image=PNG, tools=("weather",), max_output=77)
    heard = json.loads(SDKS[name](upstreams.base("one", ""), "key").ask("m", question, stream=False).text)
    assert heard["system"] == "Be brief."
    assert heard["images"] == [hashlib.sha256(PNG).hexdigest()]
    assert (heard["tools"], heard["max_output"]) == (["weather"], 77)


@pytest.mark.parametrize("stop", ["length", "filter"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_a_text_may_end_early(upstreams: Upstreams, name: str, stream: bool, stop: str) -> None:
    question = Question(Script(say="And so", stop=stop).prompt())
    assert SDKS[name](upstreams.base("one", ""), "key").ask("m", question, stream=stream).stop == stop


def test_bedrock_s_frames_are_those_that_botocore_reads(upstreams: Upstreams) -> None:
    script = Script(say="One two three.")
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9}
    body["messages"] = [{"role": "user", "content": script.prompt()}]
    url = f"{upstreams.base('rock', '')}/model/anthropic.claude-x-v1%3A0/invoke-with-response-stream"
    buffer = EventStreamBuffer()
    buffer.add_data(httpx.post(url, json=body).content)
    payloads = [json.loads(event.payload) for event in buffer]
    assert all(payload["bytes"] for payload in payloads)
    assert upstreams.of(script)[0].notes["model"] == "anthropic.claude-x-v1:0"


def post(
    upstreams: Upstreams, script: Script, *, stream: bool = True, read_seconds: float = PATIENCE
) -> httpx.Response:
    timeout = httpx.Timeout(PATIENCE, read=read_seconds)
    return httpx.post(address(upstreams), json=body(script, stream=stream), timeout=timeout)


def address(upstreams: Upstreams) -> str:
    return f"{upstreams.base('one')}/chat/completions"


def body(script: Script, *, stream: bool) -> dict[str, object]:
    return {"model": "m", "stream": stream, "messages": [{"role": "user", "content": script.prompt()}]}


def failing(kind: Kind, **more: object) -> Script:
    return Script(say="a b c d e f g h", faults={"one": Fault(kind, **more)})  # type: ignore[arg-type]


def test_an_upstream_recovers_after_a_storm(upstreams: Upstreams) -> None:
    script = failing(Kind.STATUS, status=429, times=2, retry_after="3")
    answers = [post(upstreams, script) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Kind.RESET, httpx.ReadError),
        (Kind.HANG, httpx.ReadTimeout),
        (Kind.HEADERS_THEN_HANG, httpx.ReadTimeout),
        (Kind.STALL, httpx.ReadTimeout),
        (Kind.CUT, httpx.ReadError),
        (Kind.TRUNCATE, httpx.RemoteProtocolError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_upstream_breaks_off(upstreams: Upstreams, kind: Kind, error: type[Exception], stream: bool) -> None:
    read_seconds = 0.3 if error is httpx.ReadTimeout else PATIENCE
    with pytest.raises(error):
        post(upstreams, failing(kind), stream=stream, read_seconds=read_seconds)


def test_a_caller_who_leaves_is_noticed(upstreams: Upstreams) -> None:
    script = failing(Kind.STALL)
    with httpx.stream("POST", address(upstreams), json=body(script, stream=True), timeout=PATIENCE) as answer:
        events = (line for line in answer.iter_lines() if line.startswith("data:"))
        assert len(list(itertools.islice(events, 3))) == 3
    (record,) = upstreams.ended(script)
    assert (record.disconnected, record.events) == (True, 3)


@pytest.mark.parametrize("kind", [Kind.HTML, Kind.EMPTY, Kind.END, Kind.GARBAGE, Kind.ERROR_EVENT, Kind.NO_USAGE])
def test_an_upstream_answers_something_else(upstreams: Upstreams, kind: Kind) -> None:
    body = post(upstreams, failing(kind)).content
    assert b"usage" not in body
    assert (b"[DONE]" in body) == (kind is Kind.NO_USAGE)
    assert (b"overloaded" in body) == (kind is Kind.ERROR_EVENT)
    assert (b"\xff" in body) == (kind is Kind.GARBAGE)


def test_an_event_may_be_huge_and_may_come_byte_by_byte(upstreams: Upstreams) -> None:
    assert len(post(upstreams, failing(Kind.HUGE)).content) > 10 * 1024 * 1024
    assert post(upstreams, failing(Kind.DRIP)).content.endswith(b"data: [DONE]\n\n")


def test_a_call_has_values_of_earlier_results_and_a_namespace() -> None:
    call = Call("wait", {"targets": ["@agent_id"], "to": "ann@example.com"}, "agents")
    results = ['{"agent_id":"one"}', json.dumps({"output": '{"agent_id": "two"}'}), "no JSON"]
    assert call.filled(results).arguments == {"targets": ["two"], "to": "ann@example.com"}
    assert call.filled([]).arguments["targets"] == [""]
    assert (call.name, Call("wait", {}).name) == ("agents__wait", "wait")
