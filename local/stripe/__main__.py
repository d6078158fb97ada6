"""Runs the stand-in by itself: `python -m local.stripe --port ...`."""

import argparse
import asyncio
import logging

from local.lifeline import end_with_parent
from local.stripe.server import serve


def main() -> None:
    """Serve until a signal ends it, or the program that started it is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if options.with_parent:
        end_with_parent()
    asyncio.run(serve(options.port))


if __name__ == "__main__":
    main()
