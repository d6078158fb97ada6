"""The sync plane over real tables, buckets and queues of the emulator, in process."""

from collections.abc import Iterator

import pytest

from tests.emulator.sharing.gateway import Gateway
from tests.emulator.sharing.plane import Environment, Plane
from tests.ministack import Emulator, pointed_at


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    with Gateway().serving() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def library(emulator: Emulator, gateway: Gateway) -> Iterator[None]:
    """Point the library's clients to the emulator, and to the gateway for invocations of functions."""
    with pointed_at(emulator.url, AWS_ENDPOINT_URL_LAMBDA=gateway.origin):
        yield


@pytest.fixture
def plane(library: None, emulator: Emulator, gateway: Gateway) -> Plane:
    """Return an empty sync plane."""
    return Plane(emulator, gateway)


@pytest.fixture
def cloud(plane: Plane) -> Environment:
    """Return one execution environment of an empty sync plane."""
    return Environment(plane)
