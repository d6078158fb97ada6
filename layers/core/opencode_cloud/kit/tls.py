"""The authorities that this process trusts as a client.

Reading them takes 17 ms of processor time, and three times as long in a small function, so all connections share them.
"""

from __future__ import annotations

import ssl
from functools import cache


@cache
def trusting(file: str = "") -> ssl.SSLContext:
    """Return the shared context of connections over HTTP/1.1.

    It trusts the authorities in ``file`` (PEM); empty: those of the system. Do not change it.
    """
    context = ssl.create_default_context(cafile=file or None)
    context.set_alpn_protocols(["http/1.1"])
    return context
