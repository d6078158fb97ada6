"""Rules of AWS that no emulator enforces, over the templates of every kind of stage."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.infra.synthesis import Synthesis
from tests.infra.variants import VARIANTS

GROUP_DESCRIPTION = re.compile(r"^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}$")
"""Reference: EC2's CreateSecurityGroup, `GroupDescription`."""

CACHED_ERRORS = {400, 403, 404, 405, 414, 500, 501, 502, 503, 504}
"""Errors that CloudFront keeps for ten seconds if the distribution does not say otherwise, and that it lets one set."""


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest, syntheses: Mapping[str, Synthesis]) -> Synthesis:
    """Return each kind of stage in turn."""
    return syntheses[request.param]


def _all(synthesis: Synthesis, kind: str) -> dict[str, dict[str, Any]]:
    return {
        f"{stack}/{name}": resource
        for stack in synthesis.templates
        for name, resource in synthesis.resources(stack, kind).items()
    }


def _some(synthesis: Synthesis, kind: str) -> dict[str, dict[str, Any]]:
    """Return all resources of a type that every stage on AWS has, so that no rule passes because it judges nothing."""
    found = _all(synthesis, kind)
    assert found or synthesis.stage.local, kind
    return found


def test_ec2_takes_every_description(variant: Synthesis) -> None:
    for name, group in _some(variant, "AWS::EC2::SecurityGroup").items():
        properties = group["Properties"]
        rules = [*properties.get("SecurityGroupIngress", []), *properties.get("SecurityGroupEgress", [])]
        for text in (properties["GroupDescription"], *(rule.get("Description", "-") for rule in rules)):
            assert not isinstance(text, str) or GROUP_DESCRIPTION.match(text), name


def test_alarms_may_publish_to_the_topics_that_they_name(variant: Synthesis) -> None:
    named: set[str] = set()
    for stack, template in variant.templates.items():
        topics = {
            json.dumps(action)
            for resource in template["Resources"].values()
            if resource["Type"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
            for action in resource["Properties"].get("AlarmActions", [])
            if "Ref" in action
        }
        named |= topics
        policies = variant.properties(stack, "AWS::SNS::TopicPolicy")
        for topic in topics:
            # A policy replaces SNS's own, which lets the account publish.
            statements = [
                statement
                for policy in policies
                if topic in json.dumps(policy["Topics"])
                for statement in policy["PolicyDocument"]["Statement"]
            ]
            assert any(_lets_cloudwatch_publish(statement) for statement in statements), topic
    assert bool(named) == variant.stage.watched


def _lets_cloudwatch_publish(statement: dict[str, Any]) -> bool:
    principal = statement["Principal"]
    return (
        statement["Effect"] == "Allow"
        and statement["Action"] == "sns:Publish"
        and principal == {"Service": "cloudwatch.amazonaws.com"}
        and "aws:SourceAccount" in statement["Condition"]["StringEquals"]
    )


def test_the_cdn_keeps_no_error(variant: Synthesis) -> None:
    for name, distribution in _some(variant, "AWS::CloudFront::Distribution").items():
        said = distribution["Properties"]["DistributionConfig"].get("CustomErrorResponses", [])
        kept = {response["ErrorCode"]: response.get("ErrorCachingMinTTL") for response in said}
        assert kept == dict.fromkeys(CACHED_ERRORS, 0), name


def test_no_deployment_looks_up_an_image(variant: Synthesis) -> None:
    for template in variant.templates.values():
        kinds = [parameter["Type"] for parameter in template.get("Parameters", {}).values()]
        assert "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>" not in kinds


def test_no_account_but_ours_may_invoke_a_function(variant: Synthesis) -> None:
    if variant.stage.local:
        return  # the emulator invokes as CloudFormation, and has one account
    for name, permission in _some(variant, "AWS::Lambda::Permission").items():
        properties = permission["Properties"]
        # The function's URL is open: the gateway checks the CDN's secret.
        open_to_all = properties["Principal"] == "*"
        assert open_to_all or "SourceArn" in properties or "SourceAccount" in properties, name


def test_no_queue_takes_all_of_the_account_s_concurrency(variant: Synthesis) -> None:
    for name, mapping in _some(variant, "AWS::Lambda::EventSourceMapping").items():
        properties = mapping["Properties"]
        if "StartingPosition" not in properties:
            assert 2 <= properties["ScalingConfig"]["MaximumConcurrency"] <= 20, name


def test_buckets_that_go_with_their_stack_are_emptied_first(variant: Synthesis) -> None:
    if variant.stage.local:
        return  # the emulator deletes full buckets
    emptied = json.dumps(_all(variant, "Custom::S3AutoDeleteObjects"))
    for name, bucket in _some(variant, "AWS::S3::Bucket").items():
        _, _, logical_id = name.partition("/")
        assert (f'{{"Ref": "{logical_id}"}}' in emptied) == (bucket["DeletionPolicy"] == "Delete"), name
