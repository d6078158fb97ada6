import re
from html import unescape

import pytest
from jinja2 import UndefinedError

from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.mail_secrets import invitation_token, sign_in_code
from opencode_cloud.mail.preview import SAMPLES
from opencode_cloud.mail.rendering import Renderer

KEY = "key of this deployment"


@pytest.fixture
def renderer() -> Renderer:
    return Renderer(lambda: KEY, "https://cloud.example.com")


@pytest.mark.parametrize("template", Template)
def test_every_template_has_a_subject_a_text_and_html(renderer: Renderer, template: Template) -> None:
    mail = renderer.render(template, SAMPLES[template])
    assert mail.subject
    assert "\n" not in mail.subject
    assert not mail.text.startswith(("Subject", "\n"))
    assert mail.html.startswith("<!doctype html>")
    for text in (mail.subject, mail.text, mail.html):
        assert "{{" not in text
        assert "{%" not in text
        assert "<mj-" not in text


@pytest.mark.parametrize("template", Template)
def test_a_mail_loads_nothing_from_elsewhere(renderer: Renderer, template: Template) -> None:
    html = renderer.render(template, SAMPLES[template]).html
    assert not re.search(r"<(img|link|script|iframe)\b|@import|url\(", html)


@pytest.mark.parametrize("template", Template)
def test_text_and_html_say_the_same(renderer: Renderer, template: Template) -> None:
    mail = renderer.render(template, SAMPLES[template])
    shown = " ".join(unescape(re.sub(r"<[^>]+>", " ", mail.html.partition("<body")[2])).split())
    for value in SAMPLES[template].values():
        if value in (SAMPLES[template].get("challenge"), SAMPLES[template].get("invitation")):
            continue
        if str(value) in mail.text:
            assert str(value) in shown


def test_a_name_cannot_write_html_or_headers(renderer: Renderer) -> None:
    sample = SAMPLES[Template.INVITATION] | {"inviter": "<script>alert(1)</script>\r\nBcc: all@example.com"}
    mail = renderer.render(Template.INVITATION, sample)
    assert "<script" not in mail.html
    assert "\r" not in mail.subject
    assert "\n" not in mail.subject


def test_links_and_codes_are_derived_when_the_mail_is_rendered(renderer: Renderer) -> None:
    invitation = SAMPLES[Template.INVITATION]
    token = invitation_token(KEY, invitation["invitation"], invitation["generation"])
    mail = renderer.render(Template.INVITATION, invitation)
    link = f"https://cloud.example.com/invitations/{token}"
    assert link in mail.text
    assert f'href="{link}"' in mail.html
    code = sign_in_code(KEY, SAMPLES[Template.SIGN_IN_CODE]["challenge"])
    assert code in renderer.render(Template.SIGN_IN_CODE, SAMPLES[Template.SIGN_IN_CODE]).text
    assert code not in str(SAMPLES)
    assert token not in str(SAMPLES)


def test_without_a_domain_the_link_is_where_the_inviter_was() -> None:
    renderer = Renderer(lambda: KEY, "")
    mail = renderer.render(Template.INVITATION, SAMPLES[Template.INVITATION] | {"base": "http://127.0.0.1:8787"})
    assert "http://127.0.0.1:8787/invitations/" in mail.text


def test_a_missing_variable_is_an_error_and_no_gap(renderer: Renderer) -> None:
    with pytest.raises(UndefinedError):
        renderer.render(Template.MEMBER_REMOVED, {"workspace": "Research"})
