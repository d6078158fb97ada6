"""The operators' pages on the deployed stage: the rights of the function that serves them."""

from __future__ import annotations

import json
from typing import Any

from local.stack import LocalStack
from tests.browsing import Browser
from tests.integration.people import People
from tests.waiting import until

OPERATOR = "operator@example.com"
"""The address in tests/stage.toml."""


def browser_of(stack: LocalStack, cookie: str) -> Browser:
    browser = Browser(stack.url)
    browser.http.cookies.set("opencode_session", cookie)
    return browser


def test_an_operator_replays_a_failed_message_and_others_find_no_page(stack: LocalStack) -> None:
    people = People(stack)
    operator = people.somebody(OPERATOR)
    browser = browser_of(stack, operator.cookie)
    assert browser.open("/operator/workspaces").status == 200
    assert browser_of(stack, people.somebody().cookie).open("/operator/workspaces").status == 404

    sqs: Any = stack.client("sqs")
    failed = stack.outputs["MailFailedQueueUrl"]
    # The consumer takes a mail that is not there for sent.
    sqs.send_message(QueueUrl=failed, MessageBody=json.dumps({"mail": "mai_gone"}))
    action = "/operator/queues/mail/replay"
    until(lambda: action in browser.open("/operator/queues").forms)
    done = browser.submit(browser.open("/operator/queues"), action)
    assert done.status == 200
    assert "sent again" in done.text
