"""`make drift STAGE=...`: the changes by hand in the resources of a stage. It reads, and changes nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from infra.operations.stages import STACKS, chosen, client, described, stack_name
from infra.stage import Stage

CHANGED = ["MODIFIED", "DELETED"]
RUNNING = "DETECTION_IN_PROGRESS"
POLL_SECONDS = 5.0
PATIENCE_SECONDS = 900.0


class DriftUnknown(Exception):
    """CloudFormation could not compare a stack with its template. The message has its reason."""


def main() -> None:
    """Print each difference of the stage that STAGE chooses. End with status 1 if there is one."""
    stage = chosen()
    try:
        found = list(drift(client("cloudformation", stage), stage))
    except DriftUnknown as error:
        sys.exit(str(error))
    lines = found or [f"Stage {stage.name} is as its templates say."]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(found))


def drift(cloudformation: Any, stage: Stage, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Yield a line for each property or resource that differs from the deployed templates.

    Values are left out, since they may be secrets. Raises :class:`DriftUnknown`.
    """
    names = [stack_name(stage, stack) for stack in STACKS if described(cloudformation, stage, stack)]
    # All comparisons run at one time: each takes minutes.
    running = {name: cloudformation.detect_stack_drift(StackName=name)["StackDriftDetectionId"] for name in names}
    for name, detection_id in running.items():
        _wait(cloudformation, name, detection_id, sleep)
        yield from _differences(cloudformation, name)


def _wait(cloudformation: Any, name: str, detection_id: str, sleep: Callable[[float], None]) -> None:
    for _ in range(int(PATIENCE_SECONDS / POLL_SECONDS)):
        status = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection_id)
        if status["DetectionStatus"] == "DETECTION_COMPLETE":
            return
        if status["DetectionStatus"] != RUNNING:
            raise DriftUnknown(f"{name}: {status.get('DetectionStatusReason', 'CloudFormation gives no reason')}")
        sleep(POLL_SECONDS)
    raise DriftUnknown(f"{name}: CloudFormation has not answered within {PATIENCE_SECONDS / 60:.0f} minutes.")


def _differences(cloudformation: Any, name: str) -> Iterator[str]:
    token: dict[str, str] = {}
    while True:
        page = cloudformation.describe_stack_resource_drifts(
            StackName=name, StackResourceDriftStatusFilters=CHANGED, **token
        )
        for resource in page["StackResourceDrifts"]:
            yield from _lines(name, resource)
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def _lines(name: str, resource: dict[str, Any]) -> Iterator[str]:
    called = f"{name}: {resource['LogicalResourceId']} ({resource['ResourceType']})"
    if resource["StackResourceDriftStatus"] == "DELETED":
        yield f"{called} was deleted"
    for difference in resource.get("PropertyDifferences", []):
        kind = {"ADD": "has more in", "REMOVE": "lacks", "NOT_EQUAL": "has another value in"}
        yield f"{called} {kind[difference['DifferenceType']]} {difference['PropertyPath']}"


if __name__ == "__main__":
    main()
