"""The form of a policy shows some members. Publishing keeps the others."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

from opencode_cloud.console.forms import Form
from opencode_cloud.console.policies import PolicyPages
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.policies.models import Policy, Versioned
from tests.unit.console.office import Office


def test_publishing_a_form_keeps_the_members_that_it_does_not_show() -> None:
    chain = {"model": "acme/m1", "to": ["acme/m2"], "when": ["unavailable"], "budget_percent": 90}
    kept = Policy.model_validate({"session_budget": 500, "fallbacks": [chain], "default_model": "acme/m1"})
    published: list[Any] = []
    publisher: Any = SimpleNamespace(
        current=lambda *_: SimpleNamespace(document=kept.model_dump(mode="json")),
        publish=lambda *arguments, **_: published.append(arguments[3]),
    )
    fields = {"version": "1", "share_mode": "off", "providers_mode": "any", "models_mode": "any", "tools_mode": "any"}
    form = Form({name: [value] for name, value in fields.items()})
    request = SimpleNamespace(form=form, workspace=SimpleNamespace(id="wrk_1"), actor=None, base="/console/wrk_1")
    pages = PolicyPages(
        cast("Any", SimpleNamespace(base_url=lambda: "https://a.example")), publisher, cast("Any", None)
    )
    pages.publish(cast("Any", request))
    [document] = published
    assert Policy.model_validate(document) == kept.model_copy(
        update={"default_model": None, "share": kept.share.model_copy(update={"mode": "off"})}
    )


def test_own_forms_of_secrets_are_lines_of_a_kind_and_a_pattern() -> None:
    published: list[Any] = []
    publisher: Any = SimpleNamespace(
        current=lambda *_: SimpleNamespace(document={}), publish=lambda *arguments, **_: published.append(arguments[3])
    )
    fields = {
        "version": "1",
        "share_mode": "link",
        "share_redaction": "report",
        "share_patterns": "customer-id  kunde-[0-9]{8}\n\nname Zoë M.+n\n",
    }
    form = Form({name: [value] for name, value in fields.items()})
    request = SimpleNamespace(form=form, workspace=SimpleNamespace(id="wrk_1"), actor=None, base="/console/wrk_1")
    pages = PolicyPages(
        cast("Any", SimpleNamespace(base_url=lambda: "https://a.example")), publisher, cast("Any", None)
    )
    pages.publish(cast("Any", request))
    share = Policy.model_validate(published[0]).share
    assert share.redaction == "report"
    assert [(each.name, each.pattern) for each in share.patterns] == [
        ("customer-id", "kunde-[0-9]{8}"),
        ("name", "Zoë M.+n"),
    ]


def test_all_faults_of_a_policy_are_said_at_once_at_their_fields(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/policy"
    wrong = browser.submit(browser.open(action), action, lifetime="ten", default_model="nonsense", share_patterns="A b")
    assert wrong.status == 422
    faults = re.findall(r'class="fault">([^<]*)', wrong.answer.text)
    assert {"Write a whole number", "write it as provider/model"} <= {*faults}
    assert len(faults) >= 3
    assert 'href="#default_model"' in wrong.answer.text


def test_the_effect_of_a_form_is_shown_before_it_is_published(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/policy"
    page = browser.open(action)
    models = re.findall(r'<option value="([\w.-]+/[^"]+)">', page.answer.text)
    assert models
    assert f"{len(models)} of {len(models)} models" in page.text
    shown = browser.submit(page, action, models_deny=models[0], preview="1")
    assert "Nothing was published" in shown.text
    assert f"{len(models) - 1} of {len(models)} models" in shown.text
    assert f"{models[0]}: refused" in shown.text
    assert shown.forms[action].fields["models_deny"] == models[0]
    assert office.plane.publisher.current(Versioned.POLICY, office.workspace).version == 0
    assert "Published" in browser.submit(shown, action).text


def test_a_reader_sees_the_effect_and_cannot_publish(office: Office) -> None:
    page = office.browser(Role.VIEWER).open(f"{office.base}/policy")
    assert "models of this deployment can be used" in page.text
    assert "Publish</button>" not in page.answer.text


def test_a_configuration_that_cannot_be_read_says_why(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/configuration"
    page = browser.open(action)
    for text, words in (('{"a": 1, "a": 2}', "twice"), ('{"a": 1,\n}', "not JSON"), ("[1]", ""), ("[" * 20_000, "")):
        refused = browser.submit(page, action, text=text)
        assert (refused.status, words in refused.text) == (422, True)


def test_other_models_and_the_budget_of_a_session_are_set_changed_and_removed(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/policy"
    rule = {"fallback_0_model": "acme/m1", "fallback_0_to": "acme/m2,  acme/m3", "fallback_0_percent": "80"}
    shown = browser.submit(browser.open(action), action, session_budget="5", **rule)
    assert "Published" in shown.text
    policy = published(office)
    assert policy.session_budget == 500_000_000
    [chain] = policy.fallbacks
    assert (chain.model, chain.to, chain.when, chain.budget_percent) == (
        "acme/m1",
        ["acme/m2", "acme/m3"],
        ["unavailable"],
        80,
    )
    fields = shown.forms[action].fields
    assert (fields["session_budget"], fields["fallback_0_to"], fields["fallback_rows"]) == (
        "5.00",
        "acme/m2, acme/m3",
        "3",
    )
    second = {"fallback_1_model": "acme/m4", "fallback_1_to": "acme/m5"}
    shown = browser.submit(shown, action, **second)
    assert [each.model for each in published(office).fallbacks] == ["acme/m1", "acme/m4"]
    shown = browser.submit(shown, action, fallback_0_model="", fallback_0_to="", session_budget="")
    assert [each.model for each in published(office).fallbacks] == ["acme/m4"]
    assert published(office).session_budget is None
    assert shown.forms[action].fields["fallback_0_model"] == "acme/m4"


def test_faults_of_other_models_stand_at_their_row(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/policy"
    wrong = {"fallback_1_model": "acme/m1", "fallback_1_to": "", "fallback_1_percent": "many", "session_budget": "0"}
    refused = browser.submit(browser.open(action), action, **wrong)
    assert refused.status == 422
    faults = re.findall(r'class="fault">([^<]*)', refused.answer.text.partition('id="fallbacks"')[2])
    assert faults == ["Choose at least one", "Write a whole number", "Write an amount such as 20.00"]
    fields = refused.forms[action].fields
    assert (fields["fallback_0_model"], fields["fallback_0_percent"], fields["session_budget"]) == (
        "acme/m1",
        "many",
        "0",
    )
    twice = {
        f"fallback_{row}_{name}": model for row in (0, 1) for name, model in (("model", "acme/m1"), ("to", "acme/m2"))
    }
    refused = browser.submit(browser.open(action), action, **twice)
    assert "2 rules of acme/m1" in refused.text
    assert office.plane.publisher.current(Versioned.POLICY, office.workspace).version == 0


def published(office: Office) -> Policy:
    return Policy.model_validate(office.plane.publisher.current(Versioned.POLICY, office.workspace).document)


def test_faults_between_fields_of_a_policy_are_all_said_at_the_fields(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/policy"
    wrong = {"models_deny": "a/*", "default_model": "a/b", "small_model": "a/c"}
    row = {"fallback_0_model": "b/x", "fallback_0_to": "b/x", "fallback_0_when": "unavailable"}
    shown = browser.submit(browser.open(action), action, **wrong, **row)
    [summary] = re.findall(r'<div class="error" role="alert".*?</div>', shown.answer.text, re.DOTALL)
    assert re.findall(r'<a href="#(\w+)">', summary) == ["default_model", "small_model", "fallbacks"]
    assert summary.count("is not among the providers") == 2
    faults = re.findall(r'name="(\w+_model)"[^>]*><p class="fault">([^<]*)', shown.answer.text)
    assert [(name, words.partition(" ")[0]) for name, words in faults] == [
        ("default_model", "a/b"),
        ("small_model", "a/c"),
    ]
