"""Stages whose sharing runs in containers that hold the sockets."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.routes import HUB_ROUTES, Target, match
from infra.stacks.hub import HEALTH
from infra.stage import InvalidStage, load
from opencode_cloud.kit.sealed_posts import POST_PATH
from opencode_cloud.sharing.hub import application
from tests.infra.synthesis import Synthesis

TO_HUBS = [
    "/live",
    "/share_poll",
    "/share_sync",
    "/share/abc/items",
    "/s/abc",
    "/api/share",
    "/api/shares/abc/sync",
    "/api/admin/shares/abc",
    POST_PATH,
]
ELSEWHERE = [
    "/",
    "/health",
    "/api/v1/shares",
    "/api/config",
    "/zen/v1/models",
    "/assets/1/share.js",
    "/internal/health",
]


@pytest.mark.parametrize("path", TO_HUBS)
def test_hubs_serve_sharing(path: str) -> None:
    assert match(path, HUB_ROUTES).target is Target.HUB


@pytest.mark.parametrize("path", ELSEWHERE)
def test_functions_serve_everything_else(path: str) -> None:
    assert match(path, HUB_ROUTES).target is not Target.HUB


def test_the_balancer_asks_for_a_path_that_needs_no_secret() -> None:
    assert HEALTH == application.HEALTH


def _behaviors(hubbed: Synthesis) -> dict[str, Any]:
    config = hubbed.one("edge", "AWS::CloudFront::Distribution")["DistributionConfig"]
    return {behavior["PathPattern"]: behavior for behavior in config["CacheBehaviors"]}


def test_the_cdn_sends_sharing_to_the_hubs_private_balancer(hubbed: Synthesis) -> None:
    behaviors = _behaviors(hubbed)
    patterns = [route.pattern for route in HUB_ROUTES if route.target is Target.HUB]
    assert len({behaviors[pattern]["TargetOriginId"] for pattern in patterns}) == 1
    assert all("POST" in behaviors[pattern]["AllowedMethods"] for pattern in patterns)
    endpoint = hubbed.one("edge", "AWS::CloudFront::VpcOrigin")["VpcOriginEndpointConfig"]
    assert "Balancer" in json.dumps(endpoint["Arn"])


def test_a_task_accepts_the_balancer_and_other_hubs_only(hubbed: Synthesis) -> None:
    ingress = hubbed.properties("hub", "AWS::EC2::SecurityGroupIngress")
    assert len(ingress) == 2
    assert all("SourceSecurityGroupId" in rule and rule["FromPort"] == 8080 for rule in ingress)


def test_functions_post_to_hubs_at_the_public_address(hubbed: Synthesis) -> None:
    for name in ("Share", "Live", "Deliver", "Purge"):
        variables = hubbed.one("sharing", "AWS::Lambda::Function", f"{name}Function")["Environment"]["Variables"]
        assert variables["HUB_URL"] == "https://share.example.com"
        assert "Hub" in json.dumps(variables["HUB_SECRET"])


def test_only_hubs_and_the_functions_that_post_to_them_read_the_secret_of_hubs(hubbed: Synthesis) -> None:
    readers: set[str] = set()
    for stack in ("sharing", "hub", "console", "gateway", "data"):
        for name, policy in hubbed.resources(stack, "AWS::IAM::Policy").items():
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                if "secretsmanager:GetSecretValue" in statement["Action"] and "GetAttHub" in json.dumps(statement):
                    readers.add(name.partition("Role")[0])
    assert readers == {"Share", "Live", "Deliver", "Purge", "Hub"}


def test_a_stage_without_hubs_has_nothing_of_them(syntheses: Mapping[str, Synthesis]) -> None:
    dev = syntheses["dev"]
    assert "hub" not in dev.templates
    variables = dev.one("sharing", "AWS::Lambda::Function", "ShareFunction")["Environment"]["Variables"]
    assert not {"HUB_SECRET", "HUB_URL"} & variables.keys()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("dev", '[sync]\nruntime = "container"', "needs a domain"),
        ("local", '[sync]\nruntime = "container"', "SYNC_RUNTIME"),
        ("dev", "[sync]\nmemory = 1500", "whole 1024s"),
        ("dev", "[sync]\nleast_tasks = 3\nmost_tasks = 2", "most_tasks"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    file = tmp_path / "stage.toml"
    file.write_text(text)
    with pytest.raises(InvalidStage, match=reason):
        load(name, file, environ={})
