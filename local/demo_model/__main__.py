"""Runs the model by itself: `python -m local.demo_model --port ...`."""

import argparse
import asyncio
import logging

from local.demo_model.server import PACE_SECONDS, serve
from local.lifeline import end_with_parent


def main() -> None:
    """Serve until a signal ends it, or the program that started it is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pace", type=float, default=PACE_SECONDS, help="seconds between two words of a stream")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if options.with_parent:
        end_with_parent()
    asyncio.run(serve(options.port, options.pace))


if __name__ == "__main__":
    main()
