"""aiohttp, the client of HTTP on event loops, imported without what our calls do not use.

aiohttp reads the system's authorities twice as it is imported, a fifth of the gateway's start. Our connections share a
context of their own (``kit/tls.py``). Contexts that are made during this import trust no authority, so a session with
aiohttp's own context fails, unless another module has imported aiohttp before.
"""

from __future__ import annotations

from ssl import SSLContext


def _trust_nobody(self: SSLContext) -> None:
    """Take the place of ``SSLContext.set_default_verify_paths``."""


SSLContext.set_default_verify_paths = _trust_nobody
try:
    import aiohttp as aiohttp
    from aiohttp.abc import AbstractResolver as AbstractResolver
    from aiohttp.abc import ResolveResult as ResolveResult
finally:
    del SSLContext.set_default_verify_paths  # the class inherits the usual one
