"""Run small aiohttp applications beside synchronous tests."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from aiohttp import web

from tests.waiting import PATIENCE


@contextmanager
def serving(make_application: Callable[[], web.Application]) -> Generator[str]:
    """Serve the application on a free port of 127.0.0.1, in a thread of its own; yield its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="background", daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(make_application(), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE)
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
