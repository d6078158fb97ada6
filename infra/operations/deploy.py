"""`make deploy STAGE=...`: show the changes, stop at a loss of data, save the database, deploy, protect the stacks."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.operations.protection import Template, dangers, frozen, stack_policy
from infra.operations.rollback import prune
from infra.operations.stages import STACKS, ask, cdk, chosen, client, described, stack_name
from infra.operations.versions import Functions, code_of
from infra.packaging import ROOT
from infra.stage import OFF, Stage

CDK_OUT = ROOT / "cdk.out"
SNAPSHOT_SECONDS = 3600
MIGRATION = "Custom::Migration"


def main() -> None:
    """Deploy the stage that STAGE chooses. ALLOW=<logical ids> permits their loss; YES=1 asks no question."""
    stage = chosen()
    cloudformation = client("cloudformation", stage)
    if before := deployed(cloudformation, stage):
        at_once_after_a_rollback(code_of(stage).functions, say=print)
    cdk(stage, "synth", "--quiet", "--output", str(CDK_OUT))
    after = synthesized(CDK_OUT, stage)
    allowed = os.environ.get("ALLOW", "").split()
    stop_at_losses(before, after, allowed)
    cdk(stage, "diff", "--app", str(CDK_OUT))
    if not os.environ.get("YES") and ask("Deploy these changes? (yes) ", otherwise="YES=1 deploys") != "yes":
        sys.exit("Nothing was deployed.")
    if stage.retain_data and migrates(before, after):
        save_database(client("rds", stage), stage, say=print)
    protect(cloudformation, stage, before, allowed)
    repeated = failed_before(cloudformation, stage)
    used = code_of(stage).in_use()
    try:
        cdk(stage, "deploy", "--all", "--app", str(CDK_OUT), "--require-approval", "never", "--progress", "events")
        protect(cloudformation, stage, after)
        code_of(stage).functions.forget_rollback()
    finally:
        prune(code_of(stage), used, repeated=repeated)


def at_once_after_a_rollback(functions: Functions, say: Callable[[str], None]) -> None:
    """Turn canaries off for this deployment if a rollback has moved an alias.

    CodeDeploy begins at the version that the last deployment has left. After a rollback no alias is there.
    """
    if moved := functions.rolled_back():
        say(f"After a rollback of {', '.join(moved)}, this deployment shifts at once, without canaries.")
        os.environ["CANARY"] = OFF


def deployed(cloudformation: Any, stage: Stage) -> dict[str, Template]:
    """Return the templates of the deployed stacks, by the last parts of their names."""
    found: dict[str, Template] = {}
    for stack in STACKS:
        if described(cloudformation, stage, stack):
            body = cloudformation.get_template(StackName=stack_name(stage, stack))["TemplateBody"]
            found[stack] = body if isinstance(body, dict) else json.loads(body)
    return found


def failed_before(cloudformation: Any, stage: Stage) -> bool:
    """Tell whether the last update of a stack failed, so that some stacks are new and some are old."""
    found = (described(cloudformation, stage, stack) for stack in STACKS)
    return any("ROLLBACK" in it["StackStatus"] for it in found if it)


def synthesized(folder: Path, stage: Stage) -> dict[str, Template]:
    """Return the templates that the CDK wrote into `folder`, by the last parts of the stacks' names."""
    paths = {stack: folder / f"{stack_name(stage, stack)}.template.json" for stack in STACKS}
    return {stack: json.loads(path.read_text()) for stack, path in paths.items() if path.exists()}


def stop_at_losses(before: Mapping[str, Template], after: Mapping[str, Template], allowed: Sequence[str]) -> None:
    """End the program if an update would lose data of a resource whose logical id is not in `allowed`."""
    found = [danger for danger in dangers(frozen(before), after) if danger.logical_id not in allowed]
    if found:
        words = ["This update loses data:", *(f"  {danger}" for danger in found)]
        words.append("Nothing was deployed. ALLOW=<logical id> permits a loss (docs/operate.md, Data and updates).")
        sys.exit("\n".join(words))


def migrates(before: Mapping[str, Template], after: Mapping[str, Template]) -> bool:
    """Tell whether a deployed database gets another version of its schema."""
    if "database" not in before or "console" not in before:
        return False
    return _versions(before["console"]) != _versions(after["console"])


def _versions(template: Template) -> list[str]:
    found = (it for it in template["Resources"].values() if it["Type"] == MIGRATION)
    return [it["Properties"]["Versions"] for it in found]


def save_database(
    rds: Any, stage: Stage, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> str:
    """Take a snapshot of the stage's cluster, wait until it is complete, and return its name.

    Raises:
        TimeoutError: It is not complete within an hour.
    """
    cluster = f"opencode-cloud-{stage.name}"
    name = f"{cluster}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    say(f"The schema changes: taking the snapshot {name} first. It stays until you delete it.")
    rds.create_db_cluster_snapshot(DBClusterIdentifier=cluster, DBClusterSnapshotIdentifier=name)
    deadline = time.monotonic() + SNAPSHOT_SECONDS
    while time.monotonic() < deadline:
        (snapshot,) = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"]
        if snapshot["Status"] == "available":
            return name
        sleep(10)
    raise TimeoutError(f"the snapshot {name} is not complete after {SNAPSHOT_SECONDS} s: deploy again when it is")


def protect(cloudformation: Any, stage: Stage, templates: Mapping[str, Template], allowed: Sequence[str] = ()) -> None:
    """Set the policies of the stacks with data of a stage that keeps its data.

    Resources whose logical id is in `allowed` are not protected.
    """
    if stage.retain_data:
        for stack, resources in frozen(templates).items():
            policy = stack_policy(set(resources) - set(allowed))
            cloudformation.set_stack_policy(StackName=stack_name(stage, stack), StackPolicyBody=policy)


if __name__ == "__main__":
    main()
