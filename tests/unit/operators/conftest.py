"""Fixtures of the operators' pages: the console of a deployment that lists one operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.console.office import InProcessBrowser, Office

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Database
    from tests.unit.aws import Cloud

OPERATOR = "operator@example.com"


@pytest.fixture
def office(cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Return the console, with billing."""
    queues = {f"{name}_QUEUE_URL": cloud.queue(name) for name in ("WEBHOOKS", "RELOADS")}
    shown = {"relay": "RELAY", "mail": "MAIL", "audit": "AUDIT", "purges": "PURGE"}
    queues["OPERATED_QUEUES"] = " ".join(f"{name}={cloud.queue(queue)}" for name, queue in shown.items())
    listed = f"Operator@EXAMPLE.com {OPERATOR}x"
    return Office(cloud, database, monkeypatch, OPERATORS=listed, BILLING="1", **queues)


@pytest.fixture
def operator(office: Office) -> InProcessBrowser:
    """Return the browser of the operator."""
    return office.browser(office.person(OPERATOR))
