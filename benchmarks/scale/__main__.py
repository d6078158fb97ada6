"""`python -m benchmarks.scale`: print latency, price and first limit by number of viewers, for both runtimes."""

# pyright: strict

from __future__ import annotations

import argparse

from benchmarks.scale import facts, table
from benchmarks.scale.model import Workload

RATES = (0.5, 1.0, 5.0, 20.0)
MONTHLY_VIEWERS = 100


def main() -> None:
    """Print the tables and the crossover."""
    arguments = _arguments()
    replaced = dict(_replacement(text) for text in arguments.set)
    known = facts.read(replaced)
    loads = [Workload(viewers, arguments.rate, arguments.bytes) for viewers in arguments.viewers]
    rows = [table.cells(table.row(known, load, arguments.seed)) for load in loads]
    limits = [table.limits_cells(known, load) for load in loads]
    write = table.markdown if arguments.markdown else table.plain
    print(write(table.HEADER, rows), write(table.LIMITS_HEADER, limits), sep="\n\n", end="\n\n")
    for line in table.crossover_lines(known, RATES, Workload(MONTHLY_VIEWERS, arguments.rate, arguments.bytes)):
        print(line)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    parser.add_argument("--rate", type=float, default=5.0, help="updates per second (5)")
    parser.add_argument("--bytes", type=float, default=1024.0, help="bytes of an update (1024)")
    parser.add_argument("--viewers", type=int, nargs="+", default=list(table.VIEWERS), help="audiences to simulate")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sampled latencies (1)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="replace a value of facts.toml"
    )
    return parser.parse_args()


def _replacement(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    return name, float(value)


if __name__ == "__main__":
    main()
