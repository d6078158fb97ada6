"""The mailbox receives mails by SMTP, and shows them safely."""

import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from local.mailbox import Mailbox
from local.mailbox.client import NoMail
from opencode_cloud.contracts.mail import Template

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    box = Mailbox(tmp_path_factory.mktemp("mailbox"), ROOT)
    box.start()
    yield box
    box.program.stop()


def send(mailbox: Mailbox, recipient: str, subject: str, text: str = "Hello", html: str = "") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "cloud@example.com", recipient, subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    with smtplib.SMTP("127.0.0.1", mailbox.smtp_port) as smtp:
        smtp.send_message(message)


def get(mailbox: Mailbox, path: str) -> tuple[str, str]:
    with urllib.request.urlopen(f"{mailbox.url}{path}") as answer:
        return answer.read().decode(), answer.headers["Content-Security-Policy"]


def test_a_mail_comes_out_as_it_was_sent(mailbox: Mailbox) -> None:
    send(mailbox, "eve@example.com", "Grüße", "text ünd\nmore", "<p>höher</p>")
    mail = mailbox.wait("EVE@example.com")
    assert (mail.subject, mail.text, mail.html.strip()) == ("Grüße", "text ünd\nmore\n", "<p>höher</p>")
    assert mail.sender == "cloud@example.com"


def test_one_can_wait_for_a_mail_that_is_still_to_come_and_in_vain(mailbox: Mailbox) -> None:
    send(mailbox, "bob@example.com", "first")
    first = mailbox.wait("bob@example.com")
    with pytest.raises(NoMail):
        mailbox.wait("bob@example.com", after=first.number, seconds=0.1)
    send(mailbox, "bob@example.com", "second")
    assert mailbox.wait("bob@example.com", where=lambda mail: mail.subject == "second").number > first.number


def test_the_page_shows_mails_without_running_what_is_in_them(mailbox: Mailbox) -> None:
    send(mailbox, "x@example.com", "<script>alert(1)</script>", "http://127.0.0.1/x", "<script>alert(2)</script>")
    number = mailbox.wait("x@example.com").number
    overview, policy = get(mailbox, "/")
    assert "<script" not in overview
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    page, _ = get(mailbox, f"/mails/{number}")
    assert 'href="http://127.0.0.1/x"' in page
    html, policy = get(mailbox, f"/mails/{number}/html")
    assert "alert(2)" in html
    assert "sandbox" in policy


@pytest.mark.parametrize("template", Template)
def test_every_template_can_be_previewed(mailbox: Mailbox, template: Template) -> None:
    assert get(mailbox, f"/preview/{template}")[0].startswith("<!doctype html>")


@pytest.mark.parametrize("path", ["/mails/999999", "/mails/999999/html", "/preview/unknown", "/preview/base"])
def test_what_is_not_there_is_not_found(mailbox: Mailbox, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        get(mailbox, path)
    assert refusal.value.code == 404
