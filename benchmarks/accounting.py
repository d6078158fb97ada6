"""AWS calls, list prices and processor time of every operation: `python -m benchmarks.accounting URL RESULT.json`.

A separate process, started with the environment of the deployed functions. It counts exactly their calls, and its CPU
time is theirs. The tables are copies (:mod:`benchmarks.sandbox`): only this process changes them.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks import emulator
from benchmarks.functions import Functions
from benchmarks.metering import Meter
from benchmarks.operations import Operations
from benchmarks.pricing import PriceList
from benchmarks.sandbox import sandbox
from benchmarks.session import processor_time, publish_session
from benchmarks.viewers import connections

Json = dict[str, Any]


def main() -> None:
    """Count, price and time; write the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="URL of the deployed local stage")
    parser.add_argument("result", type=Path)
    parser.add_argument("--publishes", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=200)
    arguments = parser.parse_args()
    deployed_table = os.environ["SHARES_TABLE"]
    with sandbox(os.environ) as environment:
        os.environ.update(environment)
        result = account(arguments.url, deployed_table, environment, arguments)
    arguments.result.write_text(json.dumps(result, indent=1))


def account(url: str, deployed_table: str, environment: dict[str, str], arguments: argparse.Namespace) -> Json:
    """Return all counts and times of this process."""
    meter = Meter()
    meter.install()
    functions = Functions(meter)
    prices = PriceList.read()
    operations = Operations(functions, prices, url, deployed_table)
    operations.create()  # reads the session key, which an execution environment does once
    with connections(url, deployed_table, 1) as (connection,):
        bare = emulator.bare_calls(environment, connection, arguments.repetitions)
    return {
        "prices": prices.document,
        "operations": list(operations.run(operations.create(), operations.create())),
        "session": publish_session(functions, prices, operations.create(), arguments.publishes),
        "processor_time": processor_time(functions, operations.create(), arguments.repetitions),
        "emulator": {**bare, "idle function": emulator.idle_function(url, arguments.repetitions)},
    }


if __name__ == "__main__":
    main()
