"""The base of stores and services in these tests: one emulator for the session, without a deployed stage."""

from collections.abc import Iterator

import pytest

from tests.ministack import Emulator, pointed_at


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    emulator.start()
    yield emulator
    emulator.program.stop()


@pytest.fixture(scope="module")
def environment(emulator: Emulator) -> Iterator[Emulator]:
    """Return the emulator, and point the library to it for a module's tests."""
    with pointed_at(emulator.url):
        yield emulator
