"""The form of a policy shows some members. Publishing keeps the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from opencode_cloud.console.forms import Form
from opencode_cloud.console.policies import PolicyPages
from opencode_cloud.policies.models import Policy


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
    pages = PolicyPages(cast("Any", SimpleNamespace(base_url=lambda: "https://a.example")), publisher)
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
    pages = PolicyPages(cast("Any", SimpleNamespace(base_url=lambda: "https://a.example")), publisher)
    pages.publish(cast("Any", request))
    share = Policy.model_validate(published[0]).share
    assert share.redaction == "report"
    assert [(each.name, each.pattern) for each in share.patterns] == [
        ("customer-id", "kunde-[0-9]{8}"),
        ("name", "Zoë M.+n"),
    ]
