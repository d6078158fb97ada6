"""The summary of faults names each field by a label of the page, in the reader's language."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opencode_cloud.console.field_labels import LABELS, label_of, line_of
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import CHINESE, PageLanguage, gettext, speaking
from opencode_cloud.policies.models import Policy
from tests.unit.console.office import Office
from tests.unit.test_messages import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Iterator

CONSOLE = Path(__file__).resolve().parents[3] / "layers/core/opencode_cloud/console"
MODULES = sorted(CONSOLE.glob("*.py"))
CHINESE_LETTERS = re.compile("[\u4e00-\u9fff]")


def controls() -> Iterator[str]:
    """Yield the names of the fields that people fill in."""
    for path in sorted((TEMPLATES / "administration").glob("*.html")):
        for form in re.findall(r'<form\b[^>]*method="post".*?</form>', path.read_text(), re.DOTALL):
            for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", form):
                name = re.search(r'\bname="([a-z_]+)"', tag)
                if name and 'type="hidden"' not in tag:
                    yield name[1]


def validated() -> Iterator[str]:
    """Yield the fields of the models by which the pages validate forms."""
    for path in MODULES:
        module: Any = importlib.import_module(f"opencode_cloud.console.{path.stem}")
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="checked"), args=[ast.Name(id=model), *_]) if hasattr(module, model):
                    yield from getattr(module, model).model_fields
                case _:
                    pass


def marked() -> Iterator[str]:
    """Yield the fields that the pages themselves mark."""
    for path in MODULES:
        yield from re.findall(r'path="/(?:policy/)?([a-z_]+)', path.read_text())


@pytest.mark.parametrize("name", sorted({*controls(), *validated(), *marked(), *Policy.model_fields}))
def test_every_field_of_a_form_has_a_label_in_each_language(name: str) -> None:
    assert name in LABELS
    with speaking(PageLanguage(CHINESE)):
        assert CHINESE_LETTERS.search(gettext(label_of(name))) or name == "url"


def test_a_rule_of_the_policy_is_a_field_and_another_name_is_shown_as_it_is() -> None:
    line = line_of(DocumentFault(path="/policy/default_model", message="m"))
    assert (line.field, line.label, line.message) == ("default_model", "Model", "m")
    assert line_of(DocumentFault(path="/policy/share/patterns/0", message="m")).label == "Sharing"
    assert line_of(DocumentFault(path="", message="m")).field == ""
    assert line_of(DocumentFault(path="/odd_field", message="m")).label == "Odd field"


def test_the_summary_of_the_policy_is_in_the_language_of_the_reader(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/policy"
    browser.accepts = "zh-CN"
    wrong = {"default_model": "x", "session_budget": "x", "lifetime": "x", "fallback_0_model": "x"}
    shown = browser.submit(browser.open(action), action, **wrong, comment="c" * 300)
    [summary] = re.findall(r'<div class="error" role="alert".*?</div>', shown.answer.text, re.DOTALL)
    labels = dict(re.findall(r'<a href="#(\w+)">(.*?)</a>', summary))
    assert {*labels} == {"default_model", "session_budget", "share", "fallbacks", "comment"}
    assert [label for label in labels.values() if not CHINESE_LETTERS.search(label)] == []


def test_a_field_of_the_api_leads_to_the_field_of_the_page(office: Office) -> None:
    browser, action = office.browser(Role.OWNER), f"{office.base}/keys"
    shown = browser.submit(browser.open(action), action, name="ci", holder="s" * 31)
    assert '<a href="#holder">Acts for</a>' in shown.answer.text


def test_faults_with_values_are_in_the_language_of_the_reader(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    browser.accepts = "zh-CN"
    page = browser.open(f"{office.base}/settings")
    left = browser.submit(page, f"{office.base}/settings/leave", leave_name="acme")
    assert re.search("请准确输入名称.Acme", left.text)
    action = f"{office.base}/configuration"
    refused = browser.submit(browser.open(action), action, text='{"a": 1,\n}')
    assert "第 2 行" in refused.text
    assert '<a href="#text">' in refused.answer.text
    members = browser.open(f"{office.base}/members")
    partly = browser.submit(members, f"{office.base}/invitations", email=f"a@example.com {office.owner.name}")
    assert "已发送 1 份邀请" in partly.text
