"""`make freeze`, at each release: note which resources of production hold data, with the properties that must stay.

The tests then compare every later template with `infra/released.json`, so that no update loses data unnoticed.
"""

import json
import sys
from pathlib import Path

from infra.operations.deploy import CDK_OUT, synthesized
from infra.operations.protection import frozen
from infra.operations.stages import cdk, chosen

RELEASED = Path(__file__).parents[1] / "released.json"


def main() -> None:
    """Write the file from the templates of stage production."""
    stage = chosen()
    if not stage.retain_data:
        sys.exit("Freeze a stage that keeps its data: make freeze STAGE=production")
    cdk(stage, "synth", "--quiet", "--output", str(CDK_OUT))
    RELEASED.write_text(json.dumps(frozen(synthesized(CDK_OUT, stage)), indent=1) + "\n")


if __name__ == "__main__":
    main()
