"""The stage that a command works on, and the clients of its account."""

import os
import subprocess
import sys
from typing import Any

from boto3.session import Session

from infra.packaging import ROOT
from infra.stage import InvalidStage, Stage, from_environment

CDK = ROOT / "node_modules" / ".bin" / "cdk"
STACKS = ("data", "sharing", "database", "gateway", "console", "hub", "observability", "backup", "edge")
"""The last parts of the names of all stacks that a stage can have, in the order of their deployment."""


def chosen() -> Stage:
    """Return the stage that STAGE and STAGE_FILE choose. End the program if there is none on AWS."""
    try:
        stage = from_environment({}, {**_region(), **os.environ})
    except InvalidStage as error:
        sys.exit(str(error))
    if stage.local:
        sys.exit("Stage local runs on this machine: see `make dev` and `make clean-local`.")
    return stage


def ask(question: str, otherwise: str) -> str:
    """Return a person's answer. End the program if no terminal is there; `otherwise` says what works without one."""
    if not sys.stdin.isatty():
        sys.exit(f"Nothing was changed, because no person can answer here. {otherwise} without a question.")
    return input(question)


def client(service: str, stage: Stage, region: str | None = None) -> Any:
    """Return boto3's client of `service` in the stage's region, or in `region`."""
    session: Any = Session()
    return session.client(service, region_name=region or stage.region)


def _region() -> dict[str, str]:
    """Return the shell's region as the CDK's command line passes it to the app. boto3 does not read AWS_REGION."""
    region = os.environ.get("AWS_REGION") or Session().region_name
    return {"CDK_DEFAULT_REGION": region} if region else {}


def stack_name(stage: Stage, stack: str) -> str:
    """Return the full name of a stack."""
    return f"opencode-cloud-{stage.name}-{stack}"


def outputs(cloudformation: Any, stage: Stage, stack: str) -> dict[str, str] | None:
    """Return the outputs of a deployed stack, or None if it is not deployed."""
    found = described(cloudformation, stage, stack)
    return {it["OutputKey"]: it["OutputValue"] for it in found.get("Outputs", [])} if found else None


def described(cloudformation: Any, stage: Stage, stack: str) -> dict[str, Any] | None:
    """Return CloudFormation's description of a stack, or None if it is not deployed."""
    try:
        return cloudformation.describe_stacks(StackName=stack_name(stage, stack))["Stacks"][0]
    except cloudformation.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def cdk(stage: Stage, *arguments: str) -> None:
    """Run the CDK's command line on the stage. End the program as it ends, if it fails."""
    region = {"AWS_REGION": stage.region} if stage.region else {}
    environment = {**os.environ, **region, "STAGE": stage.name}
    done = subprocess.run([CDK, *arguments], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)
