"""Roles of GitHub Actions: no key, one environment each, and no more than the commands of a deployment need."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.pipeline import build
from tests.infra.test_rules import lint

ENVIRON = {
    "REPOSITORY": "example/cloud",
    "CDK_DEFAULT_ACCOUNT": "111122223333",
    "CDK_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pipeline")
    build(ENVIRON, outdir=str(found)).synth()
    return found


@pytest.fixture(scope="module")
def resources(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "opencode-cloud-pipeline.template.json").read_text())["Resources"]


def _roles(resources: dict[str, Any]) -> dict[str, Any]:
    return {key: it["Properties"] for key, it in resources.items() if it["Type"] == "AWS::IAM::Role"}


def test_only_jobs_of_the_stage_s_environment_take_its_role(resources: dict[str, Any]) -> None:
    subjects: set[str] = set()
    for role in _roles(resources).values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert statement["Condition"].keys() == {"StringEquals"}, "no pattern"
        equals = statement["Condition"]["StringEquals"]
        assert equals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
        subjects.add(equals["token.actions.githubusercontent.com:sub"])
    assert subjects == {f"repo:example/cloud:environment:{stage}" for stage in ("dev", "production", "sandbox")}


def test_there_is_no_key_and_no_administrator(resources: dict[str, Any]) -> None:
    assert {it["Type"] for it in resources.values()} <= {
        "AWS::IAM::OIDCProvider",
        "AWS::IAM::Role",
        "AWS::IAM::Policy",
        "AWS::CDK::Metadata",
    }
    assert all("ManagedPolicyArns" not in role for role in _roles(resources).values())


def test_a_role_changes_only_what_has_its_stage_s_name(resources: dict[str, Any]) -> None:
    for key, policy in resources.items():
        if policy["Type"] != "AWS::IAM::Policy":
            continue
        stage = key.partition("Role")[0].lower()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            # ECS names no resource for the revisions of task definitions.
            if statement["Sid"] in ("Bootstrap", "Version", "Revisions"):
                continue
            named = json.dumps(statement["Resource"])
            reads = all(action.split(":")[1].startswith(("Describe", "Get")) for action in _actions(statement))
            assert reads or f"opencode-cloud-{stage}" in named, statement["Sid"]
        deletes_logs = "logs:DeleteLogGroup" in json.dumps(policy)
        assert deletes_logs == (stage == "sandbox")


def _actions(statement: dict[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def test_an_account_that_has_the_provider_gets_no_second_one(tmp_path: Path) -> None:
    arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    build({**ENVIRON, "STAGES": "dev", "PROVIDER_ARN": arn}, outdir=str(tmp_path)).synth()
    template = (tmp_path / "opencode-cloud-pipeline.template.json").read_text()
    assert "AWS::IAM::OIDCProvider" not in template
    assert arn in template


def test_a_repository_must_be_named() -> None:
    with pytest.raises(SystemExit, match="REPOSITORY"):
        build({"REPOSITORY": "*"})


def test_cfn_lint(folder: Path) -> None:
    lint(folder.glob("*.template.json"))
