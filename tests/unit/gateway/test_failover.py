"""An upstream that fails before an answer has begun costs only time: the next one is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from opencode_cloud.gateway.models import AttemptFailed, Failure, UpstreamRefused, UpstreamTarget
from opencode_cloud.gateway.service import dispatcher
from tests.metrics import written_metrics
from tests.unit.gateway.calling import COMPLETION, WHOLE, Rig, Scripted, delta, sse
from tests.unit.gateway.catalogues import upstream
from tests.unit.gateway.rigs import CHOICE, QUICK, REFUSAL, ROLE, by_name, error, in_turn, only, refused, rig, said


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "ROUNDS", replace(dispatcher.ROUNDS, first=0.01))


class TestFailover:
    @pytest.mark.parametrize(
        "first",
        [
            lambda: AttemptFailed(Failure.UNREACHABLE, "no connection"),
            lambda: AttemptFailed(Failure.SLOW, "no answer"),
            lambda: refused(500),
            lambda: refused(503),
            lambda: refused(529),
            lambda: refused(429),
            lambda: refused(401),
            lambda: refused(404),
            lambda: Scripted((b"<html>",), 200, "text/html"),
            lambda: Scripted((b"garbage\n\n",)),
            lambda: Scripted(()),
            lambda: Scripted((60.0, WHOLE)),
            lambda: Scripted((sse({"error": {"message": "overloaded", "type": "server_error", "code": 503}}),)),
        ],
        ids=[
            *("unreachable", "slow", "500", "503", "529", "429", "401", "404"),
            *("html", "garbage", "empty", "no first byte", "error first"),
        ],
    )
    async def test_the_client_sees_nothing_of_a_failure_before_the_first_byte(
        self, first: Callable[[], Scripted | AttemptFailed]
    ) -> None:
        found = rig(by_name(a=first, b=Scripted), "a", "b")
        found.catalogue.upstreams["a"] = upstream(timers=QUICK)
        sink = await found.call()
        assert (sink.status, sink.body) == (200, WHOLE)
        assert sink.headers["x-opencode-upstream"] == "b"
        event = only(found)
        assert (event.upstream, event.attempts, event.cost) == ("b", 2, 10 * 300 + 5 * 1500)

    @pytest.mark.parametrize(
        "first",
        [
            lambda: refused(400, said("invalid_request_error", "Your credit balance is too low to access the API.")),
            lambda: refused(429, said("insufficient_quota", "You exceeded your current quota.")),
            lambda: refused(402, said("", "Payment required")),
            lambda: refused(400, said("", "User location is not supported for the API use.")),
            lambda: refused(400, said("", "API key not valid. Please pass a valid API key.")),
            lambda: refused(400, b'{"message":"invalid beta flag"}'),
            lambda: refused(400, said("context_length_exceeded", "Too long")),
            lambda: Scripted((b": PROCESSING\n\n", sse({"error": {"code": 429, "message": "Slow"}}))),
            lambda: Scripted((sse(ROLE), sse({"error": {"code": 503, "message": "No capacity"}}))),
            lambda: Scripted((sse(ROLE),)),
            lambda: Scripted((sse({"choices": [{"index": 0, "error": {"code": 502, "message": "x"}}]}),)),
            lambda: Scripted([b": PROCESSING\n\n", 0.05] * 100),
            lambda: Scripted([sse(ROLE), *[b": PROCESSING\n\n", 0.05] * 100]),
        ],
        ids=[
            *("credit", "quota", "402", "region", "key", "flag", "context"),
            *("comment", "role", "only role", "choice", "comments", "role and comments"),
        ],
    )
    async def test_another_upstream_is_asked_wherever_it_could_answer(self, first: Callable[[], Scripted]) -> None:
        found = rig(by_name(a=first, b=Scripted), "a", "b")
        found.catalogue.upstreams["a"] = upstream(timers=QUICK)
        sink = await found.call()
        assert (sink.status, sink.body) == (200, WHOLE)
        event = only(found)
        assert (event.upstream, event.attempts, event.cost) == ("b", 2, 10 * 300 + 5 * 1500)

    @pytest.mark.parametrize(
        "body", [{"error": {"code": 429, "message": "Slow"}, "choices": []}, {"choices": [CHOICE]}]
    )
    async def test_an_error_in_a_whole_answer_of_status_200_goes_to_another_upstream(self, body: Any) -> None:
        answers = {"a": json.dumps(body).encode(), "b": COMPLETION}
        found = rig(lambda target: Scripted((answers[target.id],), 200, "application/json"), "a", "b")
        assert (await found.call(stream=False)).body == COMPLETION

    @pytest.mark.parametrize("body", [b"<html><h1>413 Too Large</h1></html>", b'{"detail":[{"msg":"no"}]}'])
    async def test_a_refusal_that_is_not_in_the_clients_form_is_written_anew(self, body: bytes) -> None:
        told = await error(rig(lambda _: refused(413, body)).call())
        assert isinstance(told, UpstreamRefused)
        assert (told.status, told.body) == (413, b"")
        told = await error(rig(lambda _: refused(400)).call())
        assert isinstance(told, UpstreamRefused)
        assert told.body == REFUSAL

    async def test_an_account_without_money_is_asked_once_and_its_text_stays_with_us(self) -> None:
        found = rig(lambda _: refused(429, said("insufficient_quota", "Check your plan and billing details.")))
        with written_metrics() as metrics:
            told = await error(found.call())
        assert (told.status, told.code) == (502, "upstream_locked")
        assert metrics["AccountRefusals"] == [1], "the operator is told"
        assert "billing" not in told.message
        assert len(found.asked) == 1
        assert only(found).cost == 0

    async def test_the_text_of_an_account_stays_with_us_also_within_a_stream(self) -> None:
        fault = {"error": {"code": "insufficient_quota", "message": "Check your plan and billing details."}}
        found = rig(in_turn(Scripted([sse(delta("half")), sse(fault)])))
        sink = await found.call()
        assert b"upstream_interrupted" in sink.body
        assert b"billing" not in sink.body
        assert only(found).cost > 0

    @pytest.mark.parametrize(
        "steps", [(b": x\n\n", sse({"error": {"code": 429}})), (sse(ROLE), sse({"error": {"code": 400}}))]
    )
    async def test_a_refusal_without_output_costs_nothing(self, steps: Any) -> None:
        found = rig(lambda _: Scripted(steps))
        await error(found.call())
        event = only(found)
        assert (event.cost, event.tokens.total) == (0, 0)

    async def test_comments_do_not_keep_an_answer_alive_that_has_stopped(self) -> None:
        found = rig(in_turn(Scripted([sse(delta("half")), *[b": PROCESSING\n\n", 0.05] * 100])), timers=QUICK)
        sink = await found.call()
        assert b"nothing came" in sink.body
        assert sink.body.count(b"PROCESSING") >= 1

    async def test_a_prompt_that_is_too_long_everywhere_is_told_as_that(self) -> None:
        too_long = refused(400, said("", "This model's maximum context length is 128000 tokens."))
        found = rig(by_name(a=lambda: too_long, b=lambda: AttemptFailed(Failure.UNREACHABLE, "no")), "a", "b")
        told = await error(found.call())
        assert (told.status, told.code) == (400, "context_length_exceeded")

    async def test_a_request_that_is_at_fault_goes_to_nobody_else(self) -> None:
        found = rig(by_name(a=lambda: refused(400), b=Scripted), "a", "b")
        told = await error(found.call())
        assert (told.status, told.code) == (400, "bad")
        assert "no such parameter" in told.message
        assert len(found.asked) == 1
        event = only(found)
        assert (event.outcome, event.cost, event.status) == ("refused", 0, 400)

    async def test_who_is_busy_is_asked_again_in_a_moment(self) -> None:
        found = rig(in_turn(refused(529), refused(529), Scripted()))
        assert (await found.call()).body == WHOLE
        assert only(found).attempts == 3

    async def test_nobody_is_asked_for_ever(self) -> None:
        found = rig(lambda _: refused(503), "a", "b", "c", "d")
        assert (await error(found.call())).code == "upstream_overloaded"
        assert len(found.asked) == dispatcher.MOST_ATTEMPTS

    async def test_a_wait_in_googles_details_counts_like_the_header(self) -> None:
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "119.2s"}
        body = json.dumps({"error": {"code": 429, "message": "Later.", "details": [info]}}).encode()
        told = await error(rig(lambda _: refused(429, body)).call())
        assert (told.status, told.retry_after) == (429, 120)
        told = await error(rig(lambda _: refused(429, body, retry_after=30)).call())
        assert told.retry_after == 30

    async def test_who_wants_to_be_left_alone_for_long_is(self) -> None:
        found = rig(lambda _: refused(429, retry_after=120))
        told = await error(found.call())
        assert (told.status, told.code, told.retry_after) == (429, "upstream_rate_limited", 120)
        assert len(found.asked) == 1

    @pytest.mark.parametrize(
        ("answer", "status", "code"),
        [
            (AttemptFailed(Failure.SLOW, "no answer"), 504, "upstream_timeout"),
            (AttemptFailed(Failure.UNREACHABLE, "no connection"), 502, "upstream_failed"),
            (AttemptFailed(Failure.CREDENTIAL, "who are you", status=401), 502, "upstream_locked"),
            (AttemptFailed(Failure.UNKNOWN_MODEL, "no model", status=404), 502, "upstream_failed"),
        ],
    )
    async def test_when_all_fail_the_client_is_told_why(self, answer: AttemptFailed, status: int, code: str) -> None:
        found = rig(lambda _: answer, "a", "b")
        told = await error(found.call())
        assert (told.status, told.code) == (status, code)
        event = only(found)
        assert (event.outcome, event.cost, event.error) == ("failed", 0, code)

    async def test_after_a_heartbeat_the_error_comes_inside_the_stream(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatcher, "HEARTBEAT_SECONDS", 0.05)
        found = rig(lambda _: Scripted((60.0,)), timers=QUICK)
        sink = await found.call()
        assert sink.status == 200
        assert sink.body.startswith(b":")
        assert b"upstream_timeout" in sink.body
        assert "x-opencode-upstream" not in sink.headers


FOREIGN = said("invalid_encrypted_content", "The encrypted content rs_1 could not be verified.")
DETAILS = [{"type": "reasoning.encrypted", "data": "c2lnbmVk"}]
THOUGHTFUL = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello", "reasoning_details": DETAILS},
    {"role": "user", "content": "Hi"},
]


def verified_by(*upstreams: str) -> Rig:
    """Return a rig of two upstreams. Only the named ones can verify the thoughts of the conversation."""
    found = rig(in_turn(), "a", "b")

    def answer(target: UpstreamTarget) -> Scripted:
        foreign = b"c2lnbmVk" in found.asked[-1][1] and target.id not in upstreams
        return refused(400, FOREIGN) if foreign else Scripted()

    found.script = answer
    return found


class TestForeignThoughts:
    async def test_an_upstream_that_cannot_verify_them_gets_the_conversation_without(self) -> None:
        found = verified_by()
        sink = await found.call(messages=THOUGHTFUL)
        assert (sink.body, sink.headers["x-opencode-dropped"]) == (WHOLE, "thoughts")
        assert ["reasoning_details" in message for message in sent_messages(found)] == [False] * 3
        assert [target.id for target, _ in found.asked] == ["a", "b", "a"]
        assert only(found).attempts == 3

    async def test_an_upstream_that_can_is_asked_first(self) -> None:
        found = verified_by("b")
        sink = await found.call(messages=THOUGHTFUL)
        assert sink.headers["x-opencode-upstream"] == "b"
        assert "x-opencode-dropped" not in sink.headers
        assert sent_messages(found) == THOUGHTFUL

    async def test_a_second_upstream_answers_when_the_first_is_down(self) -> None:
        found = verified_by()
        read = found.script
        found.script = lambda target: refused(503) if target.id == "a" else read(target)
        sink = await found.call(messages=THOUGHTFUL)
        assert (sink.headers["x-opencode-upstream"], sink.body) == ("b", WHOLE)
        assert [target.id for target, _ in found.asked] == ["a", "b", "b"]

    async def test_a_first_upstream_that_is_up_again_gets_them(self) -> None:
        answers = [refused(503), refused(400, FOREIGN), refused(503), Scripted()]
        found = rig(in_turn(*answers), "a", "b")
        await found.call(messages=THOUGHTFUL)
        assert [(target.id, b"c2lnbmVk" in body) for target, body in found.asked] == [
            *(("a", True), ("b", True), ("b", False), ("a", True)),
        ]

    async def test_an_error_within_the_stream_counts_alike(self) -> None:
        first = Scripted((sse({"error": {"message": "Corrupted thought signature.", "code": 400}}),))
        assert (await rig(in_turn(first, Scripted())).call(messages=THOUGHTFUL)).body == WHOLE

    async def test_the_refusal_reaches_the_client_if_there_are_none_to_leave_out(self) -> None:
        found = rig(lambda _: refused(400, FOREIGN), "a", "b")
        told = await error(found.call())
        assert (told.status, told.code, len(found.asked)) == (400, "invalid_encrypted_content", 2)

    async def test_no_upstream_is_asked_a_third_time(self) -> None:
        found = rig(lambda _: refused(400, FOREIGN))
        assert (await error(found.call(messages=THOUGHTFUL))).code == "invalid_encrypted_content"
        assert len(found.asked) == 2


def sent_messages(found: Rig) -> list[dict[str, Any]]:
    return json.loads(found.asked[-1][1])["messages"]


class TestOddUpstreams:
    @pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
    async def test_a_stream_with_another_label_is_a_stream(self, content_type: str) -> None:
        found = rig(lambda _: Scripted((WHOLE,), 200, content_type))
        assert (await found.call()).body == WHOLE

    @pytest.mark.parametrize("body", [b"<html>", b"plain words", b'{"a": 1}'])
    async def test_a_page_with_such_a_label_is_none(self, body: bytes) -> None:
        found = rig(lambda target: Scripted() if target.id == "b" else Scripted((body,), 200, "text/plain"), "a", "b")
        assert (await found.call()).body == WHOLE

    async def test_json_in_place_of_a_stream_becomes_one(self) -> None:
        found = rig(lambda _: Scripted((COMPLETION,), 200, "application/json"))
        sink = await found.call()
        assert b'"content":"Hello"' in sink.body
        assert sink.body.endswith(b"data: [DONE]\n\n")
        assert sink.headers["content-type"] == "text/event-stream"
        event = only(found)
        assert (event.outcome, event.tokens.input, event.tokens.output, event.estimated) == ("completed", 10, 5, False)

    @pytest.mark.parametrize("body", [b"{}", b'{"error":{"message":"no","code":503}}', b"[]"])
    async def test_json_that_is_no_answer_goes_to_another_upstream(self, body: bytes) -> None:
        first = Scripted((body,), 200, "application/json")
        found = rig(lambda target: Scripted() if target.id == "b" else first, "a", "b")
        assert (await found.call()).body == WHOLE

    async def test_a_stream_in_place_of_json_becomes_an_answer(self) -> None:
        found = rig(lambda _: Scripted((WHOLE,)))
        sink = await found.call(stream=False)
        assert sink.headers["content-type"] == "application/json"
        choice = json.loads(sink.body)["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "stop")
        event = only(found)
        assert (event.outcome, event.tokens.input, event.tokens.output, event.estimated) == ("completed", 10, 5, False)

    @pytest.mark.parametrize("body", [b"", sse(delta("half")), sse({"error": {"message": "no", "code": 503}})])
    async def test_a_stream_that_is_no_whole_answer_goes_to_another_upstream(self, body: bytes) -> None:
        answers = {"a": Scripted((body,)), "b": Scripted((COMPLETION,), 200, "application/json")}
        found = rig(lambda target: answers[target.id], "a", "b")
        assert (await found.call(stream=False)).body == COMPLETION
