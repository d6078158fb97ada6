"""A refused call is kept for the admins of its workspace: by whom, which model, which rule, which request."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from opencode_cloud.catalogue.models import Route
from opencode_cloud.contracts.access import EnforcedPolicy, EnforcedRules, KeyRefused, KnownKey
from opencode_cloud.contracts.actor import Actor, CredentialKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import KeyId
from opencode_cloud.gateway.models import AttemptFailed, Failure
from opencode_cloud.gateway.service import refusals
from opencode_cloud.gateway.service.refusals import Refusals
from opencode_cloud.kit.errors import Forbidden, PaymentRequired, ServiceError, Unauthorized
from opencode_cloud.kit.throttle import Throttle
from tests.unit.gateway.calling import Rig, Scripted
from tests.unit.gateway.catalogues import catalogue, model, upstream

CANARY = "canary-7761"
TOOLS = [{"type": "function", "function": {"name": "webfetch", "parameters": {}}}]
MESSAGES = [{"role": "user", "content": CANARY}]


def rig(answer: Scripted | AttemptFailed | None = None, **policy: Any) -> Rig:
    found = Rig(catalogue(model(Route(upstream="a", model="m")), a=upstream()), lambda _: answer or Scripted())
    workspace = msgspec.structs.replace(found.caller.workspace, policy=EnforcedPolicy(**policy))
    found.caller = replace(found.caller, workspace=workspace)
    return found


async def refused(found: Rig, **body: Any) -> tuple[Actor, Target, dict[str, Any]]:
    with pytest.raises(ServiceError) as raised:
        await found.call(messages=MESSAGES, **body)
    [(actor, target, facts)] = found.refused
    assert facts == {"rule": raised.value.code, "status": raised.value.status, "reason": raised.value.message}
    assert CANARY not in json.dumps(facts)
    assert (actor.id, target.kind) == ("mem_1", "model")
    return actor, target, facts


@pytest.mark.parametrize(
    ("rule", "policy", "body"),
    [
        ("model_not_permitted", {"models": EnforcedRules(deny=("*",))}, {}),
        ("tool_not_permitted", {"tools": EnforcedRules(deny=("webfetch",))}, {"tools": TOOLS}),
        ("model_not_found", {}, {"model": "no-such-model"}),
    ],
)
async def test_a_refusal_by_a_rule_is_kept(rule: str, policy: dict[str, Any], body: dict[str, Any]) -> None:
    found = rig(**policy)
    _, target, facts = await refused(found, **body)
    assert facts["rule"] == rule
    assert target.id == body.get("model", found.model.id)


async def test_a_refusal_by_a_keys_scopes_is_kept_with_the_key() -> None:
    found = rig()
    actor = replace(
        found.caller.actor, credential=CredentialKind.KEY, key_id=KeyId("key_1"), scopes=frozenset({"usage"})
    )
    found.caller = replace(found.caller, actor=actor)
    told, _, facts = await refused(found)
    assert (told.key_id, facts["rule"]) == ("key_1", "not_permitted")


async def test_the_refusal_of_a_key_is_kept_with_its_rule_and_told_as_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = rig()
    key = KnownKey(id=KeyId("key_1"), workspace_id=found.caller.workspace.id, name="laptop", networks=())
    holder = replace(found.caller.actor, key_id=key.id)

    async def refuse(*_: Any) -> None:
        raise KeyRefused(holder, key, "network_not_permitted", "The key may not be used from this IP address.")

    monkeypatch.setattr(found.calls._admission, "_caller", refuse)
    with pytest.raises(Unauthorized) as raised:
        await found.call()
    assert raised.value.code == "login_required"
    [(actor, target, facts)] = found.refused
    assert (actor.key_id, target) == ("key_1", Target("key", "key_1", "laptop"))
    assert facts == {
        "rule": "network_not_permitted",
        "status": 401,
        "reason": "The key may not be used from this IP address.",
    }


async def test_a_refusal_by_a_budget_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rig()

    async def reserve(*_: Any) -> None:
        raise PaymentRequired("budget_exceeded", "The budget is used up.")

    monkeypatch.setattr(found.ledger, "reserve", reserve)
    _, _, facts = await refused(found)
    assert facts["rule"] == "budget_exceeded"


async def test_failures_and_answers_are_no_refusals() -> None:
    found = rig(AttemptFailed(Failure.BROKEN, "broken"))
    with pytest.raises(ServiceError):
        await found.call()
    answered = rig()
    await answered.call()
    assert found.refused == answered.refused == []


async def test_a_record_that_fails_does_not_change_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(Rig, "refuse", fail)
    with pytest.raises(Forbidden):
        await rig(models=EnforcedRules(deny=("*",))).call()


async def test_only_some_refusals_of_a_minute_are_kept() -> None:
    kept: list[Actor] = []

    async def record(actor: Actor, *_: Any) -> None:
        kept.append(actor)

    notes = Refusals(record, Throttle(refusals.KEPT_A_MINUTE, lambda: 0.0))
    for _ in range(refusals.KEPT_A_MINUTE + 5):
        await notes.note(rig().caller, "m", Forbidden("model_not_permitted", "no"))
    assert len(kept) == refusals.KEPT_A_MINUTE
