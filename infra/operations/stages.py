"""The stage that a command works on, and the clients of its account."""

import os
import subprocess
import sys
from importlib import import_module
from typing import Any

from infra.packaging import ROOT
from infra.stage import InvalidStage, Stage, from_environment

CDK = ROOT / "node_modules" / ".bin" / "cdk"
STACKS = ("data", "sharing", "database", "gateway", "console", "hub", "observability", "edge", "backup")
"""The last parts of the names of all stacks that a stage can have, in the order of their deployment."""


def chosen() -> Stage:
    """Return the stage that STAGE and STAGE_FILE choose. End the program if there is none on AWS."""
    try:
        stage = from_environment({})
    except InvalidStage as error:
        sys.exit(str(error))
    if stage.local:
        sys.exit("Stage local runs on this machine: see `make dev` and `make clean-local`.")
    return stage


def client(service: str, stage: Stage, region: str | None = None) -> Any:
    """Return boto3's client of `service` in the stage's region, or in `region`."""
    make: Any = import_module("boto3").client
    return make(service, region_name=region or stage.region)


def stack_name(stage: Stage, stack: str) -> str:
    """Return the full name of a stack."""
    return f"opencode-cloud-{stage.name}-{stack}"


def outputs(cloudformation: Any, stage: Stage, stack: str) -> dict[str, str] | None:
    """Return the outputs of a deployed stack, or None if it is not deployed."""
    try:
        answer = cloudformation.describe_stacks(StackName=stack_name(stage, stack))
    except cloudformation.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return {it["OutputKey"]: it["OutputValue"] for it in answer["Stacks"][0].get("Outputs", [])}


def cdk(stage: Stage, *arguments: str) -> None:
    """Run the CDK's command line on the stage. End the program as it ends, if it fails."""
    environment = {**os.environ, "STAGE": stage.name}
    done = subprocess.run([CDK, *arguments], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)
