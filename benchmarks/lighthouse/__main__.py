"""`python -m benchmarks.lighthouse URL RESULT --state FOLDER`: judge pages on the stage that runs in the folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.lighthouse.measuring import measure


def main() -> None:
    """Write the scores into the file RESULT."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lighthouse", description=__doc__)
    parser.add_argument("url", help="of the stage, as every part gets it; this part reads it from the folder")
    parser.add_argument("result", type=Path)
    parser.add_argument("--state", type=Path, required=True, help="folder of the running stage")
    parser.add_argument("--runs", type=int, default=3, help="runs for each page, of which the median counts")
    options = parser.parse_args()
    options.result.write_text(json.dumps(measure(options.state, options.runs)))


if __name__ == "__main__":
    main()
