"""Read the certificates of public authorities once a process, not once a client of httpx: 35 ms of processor time."""

import ssl
from functools import cache
from typing import Any

import pytest
from httpx._config import create_ssl_context
from httpx._transports import default


@cache
def _public() -> ssl.SSLContext:
    return create_ssl_context()


def _shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is True and cert is None:
        return _public()
    return create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)


def share() -> None:
    """Give all clients of httpx in this process the same certificates. The tests speak plain HTTP only."""
    pytest.MonkeyPatch().setattr(default, "create_ssl_context", _shared)
