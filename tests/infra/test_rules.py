"""Rules of external tools: cfn-lint on every template, cdk-nag's AwsSolutions in every synthesis."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk import aws_s3 as s3

from infra.app import build
from infra.stage import load
from tests.infra.conftest import KINDS
from tests.infra.synthesis import Synthesis

IGNORED = ["W3005", "W3010"]
"""Redundant dependencies and literal availability zones, both of which CDK writes."""


@pytest.mark.parametrize(
    "kind", [kind if kind == "production" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_cfn_lint(syntheses: dict[str, Synthesis], kind: str) -> None:
    lint(syntheses[kind].folder.glob("*.template.json"))


def test_cfn_lint_of_containers(contained: Synthesis) -> None:
    lint(contained.folder / f"opencode-cloud-dev-{name}.template.json" for name in ("gateway", "edge"))


def test_cfn_lint_of_hubs(hubbed: Synthesis) -> None:
    lint(hubbed.folder / f"opencode-cloud-dev-{name}.template.json" for name in ("hub", "edge", "sharing"))


def lint(templates: Iterable[Path]) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    command = [linter, "--ignore-checks", *IGNORED, "--", *templates]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nag_is_listening(tmp_path: Path) -> None:
    app = build(load("alice", environ={}), outdir=str(tmp_path))
    s3.Bucket(Stack(app, "careless"), "Bucket")
    with pytest.raises(RuntimeError, match="Validation"):
        app.synth()
    assert "AwsSolutions-S10" in (tmp_path / "validation-report.json").read_text()
