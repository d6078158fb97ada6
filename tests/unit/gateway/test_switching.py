"""Another model serves where a chain of the policy says so: its rights, its reservation, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from opencode_cloud.access.models import KnownKey
from opencode_cloud.catalogue.models import ModelKind, Route, TokenLimits, UpstreamKind
from opencode_cloud.contracts.access import (
    EnforcedPolicy,
    EnforcedRules,
    FallbackChain,
    FallbackReason,
    KnownCredential,
    KnownCredentials,
)
from opencode_cloud.contracts.budgets import BudgetExhausted
from opencode_cloud.contracts.ids import CredentialId, KeyId, WorkspaceId
from opencode_cloud.gateway.models import AttemptFailed, Failure, UpstreamTarget
from opencode_cloud.gateway.service import dispatcher
from opencode_cloud.kit.errors import ServiceError, Unavailable
from tests.unit.gateway.calling import WHOLE, Connection, Rig, Scripted, delta, sse
from tests.unit.gateway.catalogues import DOLLAR_A_MILLION, catalogue, model, price, upstream
from tests.unit.gateway.rigs import PATIENT, only, refused, said

DOWN = AttemptFailed(Failure.UNREACHABLE, "no connection")
TOO_LONG = said("context_length_exceeded", "This model's maximum context length is 200000 tokens")
REASONS = FallbackReason
CHEAP = price(input=DOLLAR_A_MILLION, output=5 * DOLLAR_A_MILLION)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "ROUNDS", replace(dispatcher.ROUNDS, first=0.01))


def chain(*to: str, when: FallbackReason = REASONS.UNAVAILABLE, **more: Any) -> FallbackChain:
    names = tuple(f"opencode-cloud/{name}" for name in to)
    return FallbackChain(model="opencode-cloud/big", to=names, when=(when,), **more)


def rig(answers: Callable[[str], Scripted | AttemptFailed], *chains: FallbackChain, **policy: Any) -> Rig:
    """Return a rig of the models big, small and long, each with an upstream of its own name."""
    models = (
        model(Route(upstream="big", model="m-big"), id="big", aliases=("large",)),
        model(Route(upstream="small", model="m-small"), id="small", prices=(CHEAP,)),
        model(Route(upstream="long", model="m-long"), id="long", limits=TokenLimits(context=900_000, output=64_000)),
    )
    servers = {each.id: upstream(timers=PATIENT) for each in models}

    def script(target: UpstreamTarget) -> Scripted | AttemptFailed:
        return answers(target.id)

    found = Rig(catalogue(*models, **servers), script)
    workspace = msgspec.structs.replace(found.caller.workspace, policy=EnforcedPolicy(fallbacks=chains, **policy))
    found.caller = replace(found.caller, workspace=workspace)
    return found


def answering(**answers: Scripted | AttemptFailed) -> Callable[[str], Scripted | AttemptFailed]:
    """Return answers by upstream. All others answer well."""
    return lambda name: answers.get(name) or Scripted()


def asked(found: Rig) -> list[str]:
    """Return the upstreams that were asked, without repetition."""
    return list(dict.fromkeys(target.id for target, _ in found.asked))


async def error(found: Rig, **body: Any) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        await found.call(**body)
    return raised.value


class TestUnavailable:
    async def test_the_next_model_serves_and_says_so(self) -> None:
        found = rig(answering(big=DOWN), chain("small", "long"))
        sink = await found.call()
        assert sink.body == WHOLE
        assert sink.headers["x-opencode-model"] == "small"
        assert sink.headers["x-opencode-fallback"] == "unavailable"
        event = only(found)
        assert (event.model, event.requested_model, event.fallback) == ("small", "big", "unavailable")
        assert (event.outcome, event.status, event.error) == ("completed", 200, "")
        assert event.cost == 10 * 100 + 5 * 500
        assert event.attempts == len(found.asked) == 4

    @pytest.mark.parametrize("stream", [True, False])
    async def test_every_model_of_the_chain_is_asked_in_order(self, stream: bool) -> None:
        found = rig(lambda _: DOWN, chain("small", "long"))
        refusal = await error(found, stream=stream)
        assert asked(found) == ["big", "small", "long"]
        # The error is that of the model that the client asked for.
        assert (refusal.code, "`big`" in refusal.message) == ("upstream_failed", True)
        event = only(found)
        assert (event.requested_model, event.outcome, event.cost) == ("big", "failed", 0)
        assert [target.id for target, _ in found.asked] == [*["big"] * 3, *["small"] * 3, *["long"] * 3]

    async def test_the_client_gets_its_models_error_if_the_next_model_refuses_the_request(self) -> None:
        found = rig(answering(big=DOWN, small=refused(400)), chain("small", "long"))
        refusal = await error(found)
        assert (refusal.code, asked(found)) == ("upstream_failed", ["big", "small"])
        assert only(found).outcome == "failed"

    async def test_a_model_is_not_asked_again_under_another_name(self) -> None:
        found = rig(answering(big=DOWN), chain("large", "small"))
        await found.call()
        assert [target.id for target, _ in found.asked] == [*["big"] * 3, "small"]

    @pytest.mark.parametrize(
        ("answers", "when"),
        [
            (answering(big=DOWN), REASONS.CONTEXT),
            (answering(big=DOWN), REASONS.BUDGET),
            (answering(big=refused(400)), REASONS.UNAVAILABLE),
            (answering(big=refused(400, TOO_LONG)), REASONS.UNAVAILABLE),
        ],
    )
    async def test_a_chain_serves_its_reason_only(
        self, answers: Callable[[str], Scripted | AttemptFailed], when: FallbackReason
    ) -> None:
        found = rig(answers, chain("small", "long", when=when))
        await error(found)
        assert asked(found) == ["big"]

    async def test_without_a_chain_nothing_is_changed(self) -> None:
        found = rig(answering(big=DOWN))
        await error(found)
        assert asked(found) == ["big"]
        well = rig(answering(), chain("small"))
        assert not {"x-opencode-model", "x-opencode-fallback"} & (await well.call()).headers.keys()
        assert (only(well).requested_model, only(well).fallback) == ("", "")

    async def test_a_chain_is_found_by_an_alias_of_its_model(self) -> None:
        found = rig(answering(big=DOWN), chain("small"))
        await found.call(model="large")
        assert only(found).requested_model == "big"

    async def test_no_model_follows_once_something_was_generated(self) -> None:
        found = rig(
            answering(big=Scripted([sse(delta("a")), AttemptFailed(Failure.UNREACHABLE, "gone")])), chain("small")
        )
        sink = await found.call()
        assert b"upstream_interrupted" in sink.body
        assert asked(found) == ["big"]
        assert only(found).outcome == "interrupted"

    async def test_no_header_names_a_model_before_it_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatcher, "HEARTBEAT_SECONDS", 0.02)
        found = rig(answering(big=DOWN, small=Scripted([0.1, DOWN])), chain("small", "long"))
        sink = await found.call()
        assert sink.body.startswith(b":")
        assert sink.body.endswith(WHOLE)
        assert not {"x-opencode-model", "x-opencode-fallback"} & sink.headers.keys()
        assert only(found).model == "long"

    async def test_a_frame_without_contents_is_no_answer_yet(self) -> None:
        found = rig(answering(big=Scripted([b": ping\n\n"])), chain("small"))
        assert (await found.call()).body == WHOLE


class Keys:
    """Upstreams' keys: the platform has one of each, and every own one can be opened."""

    async def platform(self, *, fresh: bool = False) -> dict[str, str]:
        return dict.fromkeys(("big", "small", "long"), "key")

    def look_for_missing(self) -> None:
        raise AssertionError("no key is missing")

    async def open(self, _workspace_id: str, _credential: KnownCredential) -> str:
        return "own"


class TestRights:
    """The rules of the policy and of the key apply to each model of a chain."""

    @pytest.mark.parametrize(
        "policy",
        [
            {"models": EnforcedRules(deny=("opencode-cloud/small",))},
            {"models": EnforcedRules(allow=("opencode-cloud/big", "*/long"))},
        ],
    )
    async def test_a_model_that_the_policy_denies_is_left_out(self, policy: dict[str, EnforcedRules]) -> None:
        found = rig(answering(big=DOWN), chain("small", "long"), **policy)
        await found.call()
        assert asked(found) == ["big", "long"]

    async def test_a_model_that_the_key_does_not_allow_is_left_out(self) -> None:
        found = rig(answering(big=DOWN), chain("small", "long"))
        models = ("*/big", "*/long")
        key = KnownKey(id=KeyId("key_1"), workspace_id=WorkspaceId("wrk_1"), models=models)
        found.caller = replace(found.caller, key=key)
        await found.call()
        assert asked(found) == ["big", "long"]

    async def test_an_unknown_model_is_left_out(self) -> None:
        names = ("opencode-cloud/none", "other/small", "opencode-cloud/long")
        found = rig(answering(big=DOWN), msgspec.structs.replace(chain("small"), to=names))
        await found.call()
        assert asked(found) == ["big", "long"]

    async def test_a_model_of_vectors_generates_no_answer(self) -> None:
        found = rig(answering(big=DOWN), chain("small", "long"))
        vectors = msgspec.structs.replace(found.catalogue.models["small"], kind=ModelKind.EMBEDDING)
        models = {**found.catalogue.models, "small": vectors}
        found.catalogue = msgspec.structs.replace(found.catalogue, models=models)
        await found.call()
        assert asked(found) == ["big", "long"]

    async def test_a_call_with_an_own_key_never_goes_on_at_the_platforms_cost(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = rig(answering(big=DOWN), chain("small"))
        servers = {"big": upstream(UpstreamKind.OPENAI, byok=True, timers=PATIENT), "small": upstream(timers=PATIENT)}
        found.catalogue = msgspec.structs.replace(found.catalogue, upstreams={**found.catalogue.upstreams, **servers})
        own = KnownCredential(
            id=CredentialId("prv_1"), provider="openai", name="own", base_url=None, sealed=b"", data_key=b""
        )
        found.caller = replace(found.caller, credentials=KnownCredentials(credentials=(own,)))
        monkeypatch.setattr(found.admission, "_keys", Keys())
        await error(found)
        assert asked(found) == ["big"]


class TestContext:
    async def test_a_model_with_a_longer_context_serves_a_prompt_that_is_too_long(self) -> None:
        found = rig(answering(big=refused(400, TOO_LONG)), chain("small", "long", when=REASONS.CONTEXT))
        await found.call()
        assert asked(found) == ["big", "long"]
        assert only(found).fallback == "context"

    async def test_the_agent_learns_that_its_prompt_is_too_long_if_no_model_takes_it(self) -> None:
        found = rig(lambda _: refused(400, TOO_LONG), chain("long", when=REASONS.CONTEXT))
        assert (await error(found)).code == "context_length_exceeded"


class TestReservation:
    async def test_the_reservation_is_that_of_the_model_that_serves(self) -> None:
        found = rig(answering(big=DOWN), chain("small"))
        await found.call()
        first, second = found.ledger.reserved
        assert first.id == second.id == only(found).id
        assert second.claim.cost < first.claim.cost
        assert only(found).reserved == second.claim.cost

    async def test_a_model_that_does_not_fit_the_budgets_is_left_out(self) -> None:
        found = rig(answering(big=DOWN), chain("long", "small"))
        found.ledger.most = 50_000_000  # the models may cost 48, 96 and 16 million
        await found.call()
        assert asked(found) == ["big", "small"]

    async def test_a_call_that_lost_its_reservation_ends_with_its_first_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def swept(*_: Any) -> bool:
            return False

        found = rig(answering(big=DOWN), chain("small", "long"))
        monkeypatch.setattr(found.ledger, "exchange", swept)
        assert (await error(found)).code == "upstream_failed"
        assert asked(found) == ["big"]
        assert only(found).model == "big"

    @pytest.mark.parametrize("lost", [Unavailable("store_unavailable", "no"), None])
    async def test_what_was_held_is_settled_if_the_store_or_the_client_is_gone(
        self, monkeypatch: pytest.MonkeyPatch, lost: Unavailable | None
    ) -> None:
        reached = asyncio.Event()

        async def exchange(*_: Any) -> bool:
            reached.set()
            if lost is not None:
                raise lost
            await asyncio.sleep(60)
            return True

        found = rig(answering(big=DOWN), chain("small"))
        monkeypatch.setattr(found.ledger, "exchange", exchange)
        task = asyncio.create_task(found.calls.serve(found.incoming(), Connection()))
        await reached.wait()
        if lost is None:
            task.cancel()
        with pytest.raises(asyncio.CancelledError if lost is None else ServiceError):
            await task
        await found.calls.settled()
        assert only(found).outcome == ("cancelled" if lost is None else "failed")


class TestBudget:
    async def test_a_cheaper_model_serves_when_a_budget_is_nearly_used_up(self) -> None:
        found = rig(answering(), chain("long", "small", when=REASONS.BUDGET, budget_percent=80))
        found.ledger.percent = 80
        sink = await found.call()
        # The model `long` may cost more than the requested one, so it is left out.
        assert (asked(found), sink.headers["x-opencode-fallback"]) == (["small"], "budget")
        assert len(found.ledger.reserved) == 1
        assert (only(found).requested_model, only(found).fallback) == ("big", "budget")

    async def test_the_requested_model_serves_below_the_threshold(self) -> None:
        found = rig(answering(), chain("small", when=REASONS.BUDGET, budget_percent=80))
        found.ledger.percent = 79
        await found.call()
        assert asked(found) == ["big"]

    async def test_a_cheaper_model_serves_a_call_that_does_not_fit(self) -> None:
        found = rig(answering(), chain("small", when=REASONS.BUDGET))
        found.ledger.most = 20_000_000
        await found.call()
        assert asked(found) == ["small"]

    async def test_a_call_is_refused_if_the_cheaper_model_does_not_fit_either(self) -> None:
        found = rig(answering(), chain("small", when=REASONS.BUDGET))
        found.ledger.most = 1
        with pytest.raises(BudgetExhausted):
            await found.call()
        assert (found.asked, found.ledger.reserved) == ([], [])
        [(_, target, facts)] = found.refused
        assert (target.id, facts["rule"]) == ("big", "budget_exhausted")

    async def test_a_refusal_that_passes_is_no_reason(self) -> None:
        found = rig(answering(), chain("small", when=REASONS.BUDGET))
        found.ledger.refusal = Unavailable("budget_contention", "no")
        await error(found)
        assert found.asked == []

    async def test_the_cheaper_model_has_a_chain_of_the_requested_one(self) -> None:
        budget, down = chain("small", when=REASONS.BUDGET), chain("small", "long")
        found = rig(answering(small=DOWN), budget, down)
        found.ledger.percent = 95
        await found.call()
        assert asked(found) == ["small", "long"]
        assert only(found).fallback == "unavailable"
