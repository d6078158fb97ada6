"""Rules of external tools: cfn-lint on every template, cdk-nag's AwsSolutions in every synthesis."""

import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk import aws_s3 as s3

from infra.app import build
from infra.stage import load
from tests.infra.synthesis import Synthesis

IGNORED = ["W3005", "W3010"]
"""Redundant dependencies and literal availability zones, both of which CDK writes."""


def test_cfn_lint(syntheses: dict[str, Synthesis], contained: Synthesis) -> None:
    templates = [str(path) for s in syntheses.values() for path in s.folder.glob("*.template.json")]
    # Variants that the stages above do not have.
    templates += [str(contained.folder / f"opencode-cloud-dev-{name}.template.json") for name in ("gateway", "edge")]
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, "--ignore-checks", *IGNORED, "--", *templates], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_nag_is_listening(tmp_path: Path) -> None:
    app = build(load("alice", environ={}), outdir=str(tmp_path))
    s3.Bucket(Stack(app, "careless"), "Bucket")
    with pytest.raises(RuntimeError, match="Validation"):
        app.synth()
    assert "AwsSolutions-S10" in (tmp_path / "validation-report.json").read_text()
