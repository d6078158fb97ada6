"""Fixtures of the e2e tests: a browser, the scripted model, homes of clients, a running client of each generation."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from local.stack import LocalStack

from .browser import headless_chromium
from .model import ScriptedModel, scripted_model
from .opencode import Client, Home
from .recorder import Recorder, recording

MakeHome = Callable[[], Home]


@pytest.fixture(scope="session")
def model() -> Iterator[ScriptedModel]:
    with scripted_model() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium for the tests of a module. Playwright keeps an event loop, so no other module may meet it."""
    with headless_chromium() as running:
        yield running


@pytest.fixture(scope="session")
def make_home(stack: LocalStack, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> MakeHome:
    """Return a function that creates the home of a client that shares with the stack."""

    def make() -> Home:
        return Home.create(tmp_path_factory.mktemp("current") / "home", "current", model, stack.url)

    return make


@pytest.fixture(scope="session")
def client(make_home: MakeHome) -> Iterator[Client]:
    """Run one `opencode serve` for all tests: it takes seconds to start, and sessions are independent."""
    with make_home().serve() as running:
        yield running


@pytest.fixture(scope="session")
def recorder(stack: LocalStack) -> Iterator[Recorder]:
    """Record the requests of the legacy client to the stack."""
    with recording(stack.url) as running:
        yield running


@pytest.fixture(scope="session")
def legacy_client(
    recorder: Recorder, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """Run one `opencode serve` of 1.0.61 for all tests. Its requests pass through the recorder."""
    root = tmp_path_factory.mktemp("legacy") / "home"
    with Home.create(root, "legacy", model, recorder.url).serve() as running:
        yield running
