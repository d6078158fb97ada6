"""One call from arrival to settlement: the client's answer, the upstreams' requests, the billed usage."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from opencode_cloud.catalogue.models import Format, Route, Timers, TokenLimits, UpstreamKind
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, KnownBudget
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId
from opencode_cloud.contracts.usage import Outcome
from opencode_cloud.gateway.models import AttemptFailed, BrokenOff, Failure
from opencode_cloud.gateway.service import calls, dispatcher
from opencode_cloud.kit.errors import ServiceError
from tests.unit.gateway.calling import COMPLETION, WHOLE, Connection, Rig, Scripted, delta, sse
from tests.unit.gateway.catalogues import catalogue, model, upstream
from tests.unit.gateway.rigs import FINISH, MESSAGE, PATIENT, QUICK, by_name, error, in_turn, only, refused, rig, serve
from tests.waiting import PATIENCE

SESSION, OTHER = "ses_dfa12facaffe9CT4lEoCRhKTNh", "ses_dfa12facaffe9CT4lEoCRhKTNi"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "ROUNDS", replace(dispatcher.ROUNDS, first=0.01))


async def leave_early(found: Rig) -> None:
    """Disconnect the client at the first part of the body, while the upstream keeps its connection open."""
    sink = Connection()
    task = asyncio.create_task(found.call(sink=sink))
    await sink.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await found.calls.settled()


class TestIdentities:
    async def test_a_session_has_one_name_at_the_providers_and_another_in_another_workspace(self) -> None:
        found, elsewhere = rig(lambda _: Scripted()), rig(lambda _: Scripted())
        workspace = msgspec.structs.replace(elsewhere.caller.workspace, id=WorkspaceId("wrk_2"))
        elsewhere.caller = replace(elsewhere.caller, workspace=workspace)
        for calling, session in ((found, SESSION), (found, SESSION), (found, OTHER), (elsewhere, SESSION)):
            await calling.call(prompt_cache_key=session, user=f"user_1_session_{session}")
        sent = [json.loads(body) for _, body in (*found.asked, *elsewhere.asked)]
        for name in ("prompt_cache_key", "user"):
            first, again, other, away = (body[name] for body in sent)
            assert first == again
            assert len({first, other, away}) == 3
            assert len(first) <= 64
            assert SESSION not in first


class TestStream:
    async def test_bytes_pass_untouched_and_are_billed_as_reported(self) -> None:
        found = rig(in_turn(Scripted()))
        sink = await found.call()
        assert (sink.status, sink.body) == (200, WHOLE)
        assert sink.headers["content-type"] == "text/event-stream"
        assert sink.headers["x-opencode-upstream"] == "a"
        event = only(found)
        assert (event.outcome, event.tokens.input, event.tokens.output, event.estimated) == ("completed", 10, 5, False)
        assert event.cost == 10 * 300 + 5 * 1500
        assert found.answers[0].closed == [True]

    async def test_each_chunk_goes_on_as_it_comes(self) -> None:
        parts = [sse(delta(str(n))) for n in range(5)]
        found = rig(in_turn(Scripted([*parts, WHOLE])))
        assert (await found.call()).parts[:5] == parts

    async def test_a_silent_upstream_is_covered_by_heartbeats(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatcher, "HEARTBEAT_SECONDS", 0.03)
        found = rig(in_turn(Scripted([0.15, sse(delta("a")), 0.25, WHOLE])))
        sink = await found.call()
        beats = [part for part in sink.parts if part.startswith(b":")]
        assert len(beats) >= 4
        assert b"".join(part for part in sink.parts if not part.startswith(b":")) == sse(delta("a")) + WHOLE

    @pytest.mark.parametrize(
        ("steps", "reason"),
        [
            ([sse(delta("half"))], "ended in the middle"),
            ([sse(delta("half")), AttemptFailed(Failure.UNREACHABLE, "the connection broke")], "connection broke"),
            ([sse(delta("half")), 60.0, WHOLE], "nothing came"),
            ([sse(delta("half")), b"<html>what</html>\n\n"], "not a stream"),
        ],
        ids=["cut", "reset", "stalled", "garbage"],
    )
    async def test_what_breaks_off_ends_in_an_error_and_is_billed(self, steps: list[Any], reason: str) -> None:
        found = rig(in_turn(Scripted(steps)), timers=QUICK if reason == "nothing came" else PATIENT)
        sink = await found.call()
        last = sink.body.strip().split(b"\n\n")[-1]
        told = json.loads(last.removeprefix(b"data: "))["error"]
        assert told["code"] == "upstream_interrupted"
        assert reason in told["message"]
        assert b"[DONE]" not in sink.body
        event = only(found)
        assert (event.outcome, event.error, event.estimated) == ("interrupted", "upstream_interrupted", True)
        assert event.tokens.input > 0
        assert event.tokens.output > 0
        assert found.answers[0].closed == [False]

    async def test_a_connection_that_stays_open_after_the_end_keeps_nobody(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatcher, "AFTER_END_SECONDS", 0.05)
        monkeypatch.setattr(dispatcher, "HEARTBEAT_SECONDS", PATIENCE)
        found = rig(in_turn(Scripted([WHOLE, 60.0])))
        async with asyncio.timeout(PATIENCE / 2):  # the upstream, the timers and the heartbeat end later
            sink = await found.call()
        assert sink.body == WHOLE
        assert only(found).outcome == Outcome.COMPLETED

    async def test_an_answer_that_takes_too_long_is_ended(self) -> None:
        found = rig(in_turn(Scripted([sse(delta("a")), *[0.2, sse(delta("b"))] * 20])))
        found.catalogue.upstreams["a"] = upstream(timers=Timers(first_byte=1, between_chunks=1, total=0.5))
        sink = await found.call()
        assert b"took longer" in sink.body
        assert only(found).outcome == Outcome.INTERRUPTED

    async def test_who_leaves_cancels_the_upstream_and_pays_for_what_came(self) -> None:
        found = rig(in_turn(Scripted([sse(delta("some text")), 60.0, WHOLE])))
        await leave_early(found)
        event = only(found)
        assert (event.outcome, event.status, event.estimated) == ("cancelled", 499, True)
        assert event.cost > 0
        assert found.answers[0].closed == [False]

    async def test_a_client_that_leaves_after_the_end_of_the_answer_has_a_completed_call(self) -> None:
        found = rig(in_turn(Scripted([WHOLE, 60.0])))
        await leave_early(found)
        event = only(found)
        assert (event.outcome, event.status, event.estimated) == (Outcome.COMPLETED, 200, False)


class TestEstimates:
    @pytest.mark.parametrize(
        ("usage", "prompt_known", "output"),
        [
            ({"prompt_tokens": 0, "completion_tokens": 7, "total_tokens": 7}, False, 7),
            ({"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}, True, 2),
            ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, False, 2),
        ],
    )
    async def test_a_zero_beside_text_is_estimated_and_the_rest_is_kept(
        self, usage: dict[str, int], prompt_known: bool, output: int
    ) -> None:
        found = rig(lambda _: Scripted((sse(delta("Hello"), FINISH, {"choices": [], "usage": usage}, b"[DONE]"),)))
        await found.call()
        event = only(found)
        assert event.estimated
        assert (event.tokens.input == 10) is prompt_known
        assert event.tokens.input > 0
        assert event.tokens.output == output

    async def test_an_answer_without_text_may_have_no_output(self) -> None:
        usage = {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}
        found = rig(lambda _: Scripted((sse(FINISH, {"choices": [], "usage": usage}, b"[DONE]"),)))
        await found.call()
        event = only(found)
        assert (event.tokens.input, event.tokens.output, event.estimated) == (10, 0, False)

    @pytest.mark.parametrize(
        ("ttls", "hour"), [(["1h"], 100), (["1h", "1h"], 100), (["5m"], 0), ([None], 0), (["1h", None], 0), ([], 0)]
    )
    async def test_caches_written_without_a_breakdown_have_the_lifetime_that_was_asked_for(
        self, ttls: list[str | None], hour: int
    ) -> None:
        usage = {"prompt_tokens": 200, "completion_tokens": 5, "cache_creation_input_tokens": 100}
        found = rig(lambda _: Scripted((sse(delta("Hello"), FINISH, {"choices": [], "usage": usage}, b"[DONE]"),)))
        marks = [{"cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}} for ttl in ttls]
        parts = [{"type": "text", "text": "Hi", **mark} for mark in marks] or "Hi"
        await found.call(messages=[{"role": "user", "content": parts}])
        event = only(found)
        assert (event.tokens.cache_write_1h, event.tokens.cache_write) == (hour, 100 - hour)
        assert not event.estimated

    async def test_an_estimate_never_exceeds_what_is_held_back(self) -> None:
        found = rig(lambda _: Scripted([*[sse(delta("\n" * 5000))] * 10]))
        await found.call(max_tokens=100)
        event = only(found)
        assert event.estimated
        assert event.tokens.output == 100
        assert 0 < event.cost <= event.reserved


class TestSettling:
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls, "SETTLEMENT", replace(calls.SETTLEMENT, first=0.001, attempts=3))

    async def test_a_store_that_is_away_for_a_moment_loses_no_bill(self) -> None:
        found = rig(in_turn(Scripted()))
        found.ledger.outages = 2
        await found.call()
        assert only(found).cost > 0

    async def test_a_bill_that_cannot_be_written_is_told_of_and_the_client_has_its_answer(self) -> None:
        found = rig(in_turn(Scripted()))
        found.ledger.outages = 3
        assert (await found.call()).body == WHOLE
        [(event, settled)] = found.told
        assert (event.cost > 0, settled) == (True, False)
        assert not found.ledger.events


class TestOtherFormats:
    async def test_the_trace_goes_on_everywhere_and_a_vendors_headers_only_to_its_format(self) -> None:
        found = rig(lambda _: refused(500), "a", "b")
        found.catalogue.upstreams["b"] = upstream(UpstreamKind.ANTHROPIC, timers=PATIENT)
        await error(found.call())
        assert found.headers[:2] == [
            {"traceparent": "00-1-2-01", "anthropic-version": "1"},
            {"traceparent": "00-1-2-01"},
        ]

    async def test_what_one_format_has_no_place_for_goes_to_an_upstream_that_has(self) -> None:
        found = rig(by_name(b=Scripted), "a", "b")
        found.catalogue.upstreams["a"] = upstream(UpstreamKind.ANTHROPIC, timers=PATIENT)
        sink = await found.call(n=2)
        assert sink.headers["x-opencode-upstream"] == "b"

    async def test_the_client_is_told_which_hints_were_dropped(self) -> None:
        found = rig(lambda _: Scripted())
        sink = await found.call(tools=[{"type": "web_search"}], tool_choice="auto")
        assert sink.headers["x-opencode-dropped"] == "tools.web_search"
        sink = await found.call()
        assert "x-opencode-dropped" not in sink.headers

    async def test_no_name_of_a_hint_adds_a_header(self) -> None:
        found = rig(lambda _: Scripted((MESSAGE,), 200, "application/json"))
        found.catalogue.upstreams["a"] = upstream(UpstreamKind.ANTHROPIC, timers=PATIENT)
        hints: dict[str, Any] = {"evil\r\nset-cookie: x": 1, "é": 1, "x" * 1000: 1}
        sink = await found.call(stream=False, sink=None, **hints)
        told = sink.headers["x-opencode-dropped"]
        assert told.isprintable()
        assert told.isascii()
        assert len(told) <= dispatcher.LONGEST_HEADER

    async def test_messages_is_told_the_limit_that_was_reserved_for(self) -> None:
        found = rig(lambda _: refused(400), limits=TokenLimits(context=1000, output=77))
        found.catalogue.upstreams["a"] = upstream(UpstreamKind.ANTHROPIC, timers=PATIENT)
        await error(found.call())
        [(_, body)] = found.asked
        assert json.loads(body)["max_tokens"] == 77

    async def test_when_none_has_the_request_is_refused(self) -> None:
        found = rig(in_turn())
        found.catalogue.upstreams["a"] = upstream(UpstreamKind.ANTHROPIC, timers=PATIENT)
        told = await error(found.call(n=2))
        assert (told.status, told.code) == (400, "invalid_request")
        assert not found.asked

    async def test_the_id_tells_the_model_where_the_upstreams_name_does_not(self) -> None:
        found = rig(in_turn(Scripted((MESSAGE,), 200, "application/json")), "a", id="claude-opus-4-7")
        found.catalogue.upstreams["a"] = upstream(UpstreamKind.ANTHROPIC, timers=PATIENT)
        await found.call(stream=False, reasoning_effort="high", temperature=0.5)
        sent = json.loads(found.asked[0][1])
        assert (sent["model"], sent["output_config"], "temperature" in sent) == ("m-a", {"effort": "high"}, False)

    async def test_more_tools_than_one_upstream_takes_go_to_the_next(self) -> None:
        tools = [{"type": "function", "function": {"name": f"f{n}"}} for n in range(513)]
        found = rig(by_name(b=Scripted), "a", "b")
        found.catalogue.upstreams["a"] = upstream(UpstreamKind.GOOGLE, timers=PATIENT)
        assert (await found.call(tools=tools)).headers["x-opencode-upstream"] == "b"
        found.catalogue.upstreams["b"] = found.catalogue.upstreams["a"]
        told = await error(found.call(tools=tools))
        assert (told.status, told.code) == (400, "invalid_request")
        assert "513 tools" in told.message
        assert "at most 512" in told.message


class TestWholeAnswers:
    async def test_an_answer_in_one_piece_is_passed_on_and_billed(self) -> None:
        found = rig(in_turn(Scripted((COMPLETION,), 200, "application/json")))
        sink = await found.call(stream=False)
        assert (sink.status, sink.body) == (200, COMPLETION)
        assert (only(found).cost, only(found).streamed) == (10 * 300 + 5 * 1500, False)

    async def test_blanks_keep_the_connection_while_it_takes_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatcher, "JSON_HEARTBEAT_SECONDS", 0.03)
        found = rig(in_turn(Scripted((0.1, COMPLETION), 200, "application/json")))
        sink = await found.call(stream=False)
        assert json.loads(sink.body) == json.loads(COMPLETION)
        assert sink.body.startswith(b" ")

    async def test_after_a_blank_an_error_cuts_the_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatcher, "JSON_HEARTBEAT_SECONDS", 0.03)
        found = rig(lambda _: Scripted((0.1, b"no json"), 200, "application/json"))
        with pytest.raises(BrokenOff):
            await found.call(stream=False)
        assert only(found).outcome == Outcome.FAILED

    @pytest.mark.parametrize("opencode", [True, False])
    async def test_digits_of_an_error_within_a_stream_are_parted_for_opencode_only(self, *, opencode: bool) -> None:
        fault = {"error": {"message": "The limit is 500.", "type": "invalid_request_error", "code": "400"}}
        found = rig(lambda _: Scripted((sse(delta("Hel")), sse(fault))))
        sink = Connection()
        await found.calls.serve(found.incoming(opencode=opencode), sink)
        assert only(found).outcome == Outcome.INTERRUPTED
        assert (b"limit is 500" in sink.body) is not opencode


class TestAdmission:
    async def test_a_session_in_the_body_keeps_its_calls_at_one_upstream(self) -> None:
        routes = [Route(upstream=name, model="m") for name in "ab"]
        upstreams = {name: upstream(timers=PATIENT) for name in "ab"}
        found = Rig(catalogue(model(*routes), **upstreams), lambda _: Scripted())
        for number in range(12):
            for words in ("one", "two", "three"):
                messages = [{"role": "user", "content": words}]
                await serve(found, messages=messages, prompt_cache_key=f"session-{number}")
        asked = [target.id for target, _ in found.asked]
        assert all(len(set(asked[start : start + 3])) == 1 for start in range(0, len(asked), 3))
        assert set(asked) == {"a", "b"}
        assert len({event.session for event in found.ledger.events}) == 12
        assert "session-1" not in repr(found.ledger.events)

    async def test_without_a_session_the_opening_of_a_conversation_keeps_its_calls_at_one_upstream(self) -> None:
        routes = [Route(upstream=name, model="m") for name in ("a", "b")]
        found = Rig(catalogue(model(*routes), a=upstream(), b=upstream()), lambda _: Scripted())
        for number in range(12):
            asked = len(found.asked)
            mark = {"type": "text", "text": f"task {number}", "cache_control": {"type": "ephemeral"}}
            turns: list[dict[str, Any]] = [{"role": "system", "content": "S"}, {"role": "user", "content": [mark]}]
            await serve(found, messages=turns)
            turns[1]["content"] = [{"type": "text", "text": f"task {number}"}]
            for _ in range(3):
                turns += [{"role": "assistant", "content": "Yes"}, {"role": "user", "content": "Go on"}]
                await serve(found, messages=turns)
            assert len({target.id for target, _ in found.asked[asked:]}) == 1
        assert {target.id for target, _ in found.asked} == {"a", "b"}
        assert {event.session for event in found.ledger.events} == {""}

    @pytest.mark.parametrize("session", ["s" * 100_000, "\ud800", "one\ntwo", "\u00fc\u2028"])
    async def test_a_session_of_any_form_is_served_and_has_a_pseudonym(self, session: str) -> None:
        found = rig(lambda _: Scripted())
        await serve(found, prompt_cache_key=session, user=session)
        assert len(only(found).session) == len("ses_") + 26

    @pytest.mark.parametrize(
        "name",
        [
            *("m1-20251001", "m1@20251001", "m1-2025-10-01", "m1-latest", "m1-001", "m1[1m]", "m1-20251001[1m]"),
            *("openrouter/anthropic/m1", "bedrock/us.anthropic.m1-20251001-v1:0", "vertex_ai/m1@20251001", "x-ai/m1"),
            *("anthropic/m1", "openai/m1-20251001", "us.anthropic.m1-20251001-v1:0", "anthropic.m1-v1"),
        ],
    )
    async def test_a_vendors_name_means_the_model(self, name: str) -> None:
        found = rig(lambda _: Scripted())
        await found.call(model=name)
        assert only(found).model == "m1"

    async def test_a_date_makes_no_model(self) -> None:
        for name in ("m2-20251001", "m1-2025", "m1-20251001-20251001", "-20251001", "m1[", "vendor/m1", "anthropic."):
            assert (await error(rig(in_turn()).call(model=name))).code == "model_not_found"

    async def test_a_key_that_was_just_set_is_looked_for_when_it_is_missing(self) -> None:
        found = rig(in_turn(Scripted(), Scripted()))
        found.catalogue.upstreams["a"] = upstream(UpstreamKind.OPENAI, timers=PATIENT)
        await found.call()
        assert found.asked_afresh == 0
        found.unknown_keys = {"a"}
        await found.call()
        assert found.asked_afresh == 1

    async def test_a_key_that_was_just_set_for_one_of_several_upstreams_is_looked_for_meanwhile(self) -> None:
        found = rig(by_name(a=Scripted, b=Scripted), "a", "b")
        for name in ("a", "b"):
            found.catalogue.upstreams[name] = upstream(UpstreamKind.OPENAI, timers=PATIENT)
        await found.call()
        assert found.looked_for_missing == 0
        found.unknown_keys = {"a"}
        await found.call()
        assert (found.looked_for_missing, found.asked_afresh) == (1, 0)
        assert [target.id for target, _ in found.asked] == ["a", "b"]

    async def test_an_unknown_model_is_404_and_nothing_is_held_back(self) -> None:
        found = rig(in_turn())
        told = await error(found.call(model="M1"))
        assert (told.status, told.code) == (404, "model_not_found")
        assert not found.ledger.reserved
        assert not found.asked

    async def test_the_worst_case_is_held_back_before_anybody_is_asked(self) -> None:
        found = rig(in_turn(Scripted()))
        await found.call(max_tokens=100, n=2)
        [held] = found.ledger.reserved
        assert held.claim.cost >= 2 * 100 * 1500 + 10 * 300
        assert held.claim.cost <= 2 * 100 * 1500 + 1000 * 300

    async def test_without_a_limit_of_its_own_the_models_counts(self) -> None:
        found = rig(in_turn(Scripted()), limits=TokenLimits(context=1000, output=77))
        await found.call()
        [held] = found.ledger.reserved
        assert 77 * 1500 < held.claim.cost <= 77 * 1500 + 1000 * 300

    async def test_the_raised_limit_of_an_upstream_is_what_is_held_back(self) -> None:
        route = Route(upstream="a", model="m", formats=(Format.RESPONSES,))
        found = Rig(catalogue(model(route), a=upstream(timers=PATIENT)), lambda _: refused(400))
        await error(found.call(max_tokens=1))
        [held], [(_, body)] = found.ledger.reserved, found.asked
        assert json.loads(body)["max_output_tokens"] == 16
        assert held.claim.cost >= 16 * 1500

    async def test_what_does_not_fit_reaches_no_upstream(self) -> None:
        found = rig(in_turn())
        found.ledger.refusal = ServiceError("budget_exhausted", "no")
        assert (await error(found.call())).code == "budget_exhausted"
        assert not found.asked
        assert not found.ledger.events

    async def test_a_prepaid_deployment_refuses_a_workspace_without_a_balance(self) -> None:
        found = rig(lambda _: Scripted())
        found.admission._prepaid = True
        assert (await error(found.call())).code == "balance_required"
        assert not found.asked
        balance = KnownBudget(
            id=BudgetId("bud_1"),
            scope=BudgetScope.BALANCE,
            unit=BudgetUnit.COST,
            period=BudgetPeriod.TOTAL,
            limit=10**12,
        )
        workspace = msgspec.structs.replace(found.caller.workspace, budgets=(balance,))
        found.caller = replace(found.caller, workspace=workspace)
        await found.call()
        assert len(found.asked) == 1

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "hosted_tool"),
            ({"service_tier": "priority"}, "tier_not_priced"),
            ({"service_tier": "flex"}, "tier_not_priced"),
            ({"messages": "no list"}, "invalid_request"),
            ({"modalities": ["image"]}, "hosted_tool"),
            ({"modalities": ["audio"]}, "audio_not_priced"),
        ],
    )
    async def test_what_has_no_price_is_refused(self, body: dict[str, Any], code: str) -> None:
        found = rig(in_turn())
        assert (await error(found.call(**body))).code == code
        assert not found.asked
