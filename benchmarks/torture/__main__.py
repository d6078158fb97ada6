"""The torture of one gateway or of both: `python -m benchmarks.torture URL RESULT.json`, in a stage's environment."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from benchmarks.torture.litellm_keys import litellm
from benchmarks.torture.ours import ours
from benchmarks.torture.provider import provider
from benchmarks.torture.storm import Gateway, storm
from benchmarks.torture.table import table, write

SEED = 12
OURS, THEIRS = "ours", "litellm"
Start = Callable[[str, Path], AbstractContextManager[Gateway]]


def main() -> None:
    """Measure; write the result as JSON, and with `--write` the table into benchmarks/README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=__doc__)
    parser.add_argument("url", help="where the deployed local stage answers")
    parser.add_argument("result", type=Path)
    parser.add_argument("--only", choices=(OURS, THEIRS), help="measure one of the two")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    starts: dict[str, Start] = {OURS: lambda url, folder: ours(arguments.url, url, folder), THEIRS: litellm}
    chosen = [start for name, start in starts.items() if arguments.only in (None, name)]
    results = [uvloop.run(_measure(start)) for start in chosen]
    arguments.result.write_text(json.dumps(results, indent=1))
    print(table(results))
    if arguments.write:
        write(results, datetime.now(UTC).date().isoformat())


async def _measure(start: Start) -> dict[str, Any]:
    timeout, connector = aiohttp.ClientTimeout(total=180), aiohttp.TCPConnector(limit=0)
    with tempfile.TemporaryDirectory() as folder:
        async with provider() as served, aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            starting = start(served.url, Path(folder))
            gateway = await asyncio.to_thread(starting.__enter__)
            try:
                found = await storm(http, gateway, served, SEED)
            finally:
                await asyncio.to_thread(starting.__exit__, None, None, None)
    return {"name": gateway.name, **found}


if __name__ == "__main__":
    main()
