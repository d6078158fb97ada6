"""Rules of external tools: cfn-lint on every template, cdk-nag's AwsSolutions in every synthesis."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk import aws_s3 as s3

from infra.app import build
from infra.stage import load
from tests.infra.synthesis import Synthesis
from tests.infra.variants import VARIANTS

IGNORED = ["W3005", "W3010"]
"""Redundant dependencies and literal availability zones, both of which CDK writes."""


QUICK = "production"
"""The variant that `make test` lints. Each takes over ten seconds, so the others belong to the slow tests."""


@pytest.mark.parametrize(
    "name", [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_cfn_lint(syntheses: Mapping[str, Synthesis], name: str) -> None:
    lint(syntheses[name].folder.glob("*.template.json"))


def lint(templates: Iterable[Path]) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    command = [linter, "--ignore-checks", *IGNORED, "--", *templates]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nag_is_listening(tmp_path: Path) -> None:
    app = build(load("alice", environ={}), outdir=str(tmp_path), bundling=False)
    s3.Bucket(Stack(app, "careless"), "Bucket")
    with pytest.raises(RuntimeError, match="Validation"):
        app.synth()
    assert "AwsSolutions-S10" in (tmp_path / "validation-report.json").read_text()
