"""`make destroy STAGE=...`: delete a stage that keeps no data, and what its stacks leave behind."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from infra.operations.stages import ask, cdk, chosen, client
from infra.stage import Stage

STAGE_TAG = "opencode-cloud:stage"
TASK_DEFINITION = ":task-definition/"
KEPT_FOR_A_WHILE = (":kms:", ":secretsmanager:")
"""Parts of ARNs of resources that AWS deletes after a waiting period, and does not charge during it."""


def main() -> None:
    """Delete the stage that STAGE chooses, after a person has typed its name (or has set CONFIRM to it)."""
    stage = chosen()
    if stage.retain_data:
        sys.exit(f"Stage {stage.name} keeps its data (retain_data): delete its stacks by hand, one by one.")
    question = f"Type {stage.name} to delete the stage with all of its data: "
    typed = os.environ.get("CONFIRM") or ask(question, otherwise=f"CONFIRM={stage.name} deletes")
    if typed != stage.name:
        sys.exit("Nothing was deleted.")
    cdk(stage, "destroy", "--all", "--force")
    clean_up(client("logs", stage), client("ecs", stage), client("resourcegroupstaggingapi", stage), stage, say=print)


def clean_up(logs: Any, ecs: Any, tagging: Any, stage: Stage, say: Callable[[str], None]) -> None:
    """Delete the logs and task definitions that the stacks left, and name every other resource with the stage's tag."""
    for name in _log_groups(logs, stage):
        logs.delete_log_group(logGroupName=name)
        say(f"deleted the log {name}")
    left = sorted(arn for arn in _tagged(tagging, stage) if ":log-group:" not in arn)
    # The stacks keep the one before for `make rollback` (containers.py). AWS may still name the deregistered ones.
    pages = ecs.get_paginator("list_task_definitions").paginate(status="ACTIVE")
    active = {arn for page in pages for arn in page["taskDefinitionArns"]}
    for arn in [arn for arn in left if arn in active]:
        ecs.deregister_task_definition(taskDefinition=arn)
        say(f"deregistered {arn}")
    for arn in [arn for arn in left if TASK_DEFINITION not in arn]:
        waits = any(part in arn for part in KEPT_FOR_A_WHILE)
        say(f"{'AWS deletes later' if waits else 'LEFT, delete it by hand'}: {arn}")
    say("The account's role for logs of API Gateway stays: other stages use it.")


def _log_groups(logs: Any, stage: Stage) -> Iterator[str]:
    """Yield the logs of functions that the CDK adds: no stack knows them."""
    prefix = f"/aws/lambda/opencode-cloud-{stage.name}-"
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        yield from (group["logGroupName"] for group in page["logGroups"])


def _tagged(tagging: Any, stage: Stage) -> Iterator[str]:
    filters = [{"Key": STAGE_TAG, "Values": [stage.name]}]
    for page in tagging.get_paginator("get_resources").paginate(TagFilters=filters):
        yield from (resource["ResourceARN"] for resource in page["ResourceTagMappingList"])


if __name__ == "__main__":
    main()
