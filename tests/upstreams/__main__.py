"""`python -m tests.upstreams --port N`: the scripted upstreams in a process of their own, for benchmarks."""

from __future__ import annotations

import argparse
import asyncio

import uvloop

from .server import Upstreams, start


async def serve(port: int) -> None:
    """Serve until the process ends. The first line of the output is the address."""
    upstreams = Upstreams()
    await start(upstreams, port)
    print(upstreams.url, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.upstreams", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
