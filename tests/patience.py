"""Time limits of libraries in tests. A function that starts on a busy machine takes longer than the usual ones."""

import sys
from typing import Any

import httpx

from tests.waiting import PATIENCE


def be_patient() -> None:
    """Let the libraries that tests have imported wait as long as tests do. Time limits of pages: `e2e/browser.py`."""
    limits = httpx._config.DEFAULT_TIMEOUT_CONFIG  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    limits.read = limits.pool = PATIENCE
    modules: dict[str, Any] = dict(sys.modules)
    if sync := modules.get("websockets.sync.client"):
        sync.connect.__kwdefaults__["open_timeout"] = PATIENCE
    if asynchronous := modules.get("websockets.asyncio.client"):
        asynchronous.connect.__init__.__kwdefaults__["open_timeout"] = PATIENCE
    if playwright := modules.get("playwright.sync_api"):
        playwright.expect.set_options(timeout=PATIENCE * 1000)
