import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.routes import ORIGIN_HEADER
from tests.infra.synthesis import Synthesis

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
SITE = "/.well-known/opencode"


def _config(synthesis: Synthesis) -> dict[str, Any]:
    return synthesis.one("edge", "AWS::CloudFront::Distribution")["DistributionConfig"]


def _behaviors(synthesis: Synthesis) -> dict[str, dict[str, Any]]:
    config = _config(synthesis)
    return {"/*": config["DefaultCacheBehavior"], **{b["PathPattern"]: b for b in config["CacheBehaviors"]}}


def test_the_local_stage_has_none(syntheses: Mapping[str, Synthesis]) -> None:
    assert "edge" not in syntheses["local"].templates


def test_only_assets_are_cached(on_aws: Synthesis) -> None:
    for pattern, behavior in _behaviors(on_aws).items():
        assert (behavior["CachePolicyId"] == CACHING_DISABLED) == (pattern not in ("/assets/*", SITE))
        assert (behavior["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST) == (pattern != SITE)


def test_security_headers_are_on_all_but_sockets(on_aws: Synthesis) -> None:
    for pattern, behavior in _behaviors(on_aws).items():
        assert ("ResponseHeadersPolicyId" in behavior) == (pattern not in ("/live", "/share_poll"))


def test_every_request_is_rewritten_and_goes_on_by_tls(on_aws: Synthesis) -> None:
    behaviors = _behaviors(on_aws)
    assert "FunctionAssociations" not in behaviors.pop(SITE)
    for behavior in behaviors.values():
        (association,) = behavior["FunctionAssociations"]
        assert association["EventType"] == "viewer-request"
    apis = [origin for origin in _config(on_aws)["Origins"] if "CustomOriginConfig" in origin]
    assert len(apis) == 5
    for origin in apis:
        assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
        assert origin["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_a_domain_gets_certificate_and_alias_records(syntheses: Mapping[str, Synthesis], kind: str) -> None:
    production = syntheses["production"]
    assert _config(production)["Aliases"] == ["share.example.com"]
    assert production.one("edge", "AWS::CertificateManager::Certificate")["DomainName"] == "share.example.com"
    records = production.properties("edge", "AWS::Route53::RecordSet")
    assert [record["Name"] for record in records if record["Type"] == kind] == ["share.example.com."]
    assert production.templates["edge"]["Outputs"]["PublicUrl"]["Value"] == "https://share.example.com"


def test_functions_know_the_domain(syntheses: Mapping[str, Synthesis]) -> None:
    for name, url in {"production": "https://share.example.com", "dev": ""}.items():
        share = syntheses[name].one("sharing", "AWS::Lambda::Function", "Share")
        assert share["Environment"]["Variables"]["PUBLIC_URL"] == url


def test_the_site_is_read_by_cloudfront_alone(on_aws: Synthesis) -> None:
    (origin,) = [origin for origin in _config(on_aws)["Origins"] if "S3OriginConfig" in origin]
    assert origin["OriginAccessControlId"]
    statements = on_aws.one("data", "AWS::S3::BucketPolicy", "Site")["PolicyDocument"]["Statement"]
    # The function that empties the bucket when the stack is deleted reads nothing.
    allowing = [statement for statement in statements if statement["Effect"] == "Allow"]
    (allowed,) = [statement for statement in allowing if "s3:GetObject" in statement["Action"]]
    assert allowed["Action"] == "s3:GetObject"
    assert allowed["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert "AWS:SourceAccount" in allowed["Condition"]["StringEquals"]


STREAMED = ("/zen/*", "/inference/*")


def _stream_origin(synthesis: Synthesis) -> dict[str, Any]:
    targets = {_behaviors(synthesis)[pattern]["TargetOriginId"] for pattern in STREAMED}
    (origin,) = [origin for origin in _config(synthesis)["Origins"] if origin["Id"] in targets]
    return origin


def test_model_calls_flow_through_as_they_come(on_aws: Synthesis) -> None:
    for pattern in STREAMED:
        behavior = _behaviors(on_aws)[pattern]
        assert behavior["CachePolicyId"] == CACHING_DISABLED
        assert behavior["Compress"] is False
        assert "POST" in behavior["AllowedMethods"]
        assert behavior["ViewerProtocolPolicy"] == "https-only"


def test_the_gateway_s_address_is_the_function_s_and_is_waited_for_as_long_as_the_cdn_allows(on_aws: Synthesis) -> None:
    origin = _stream_origin(on_aws)
    assert "FunctionUrl" in json.dumps(origin["DomainName"])
    assert origin["CustomOriginConfig"]["OriginReadTimeout"] == on_aws.stage.gateway.read_seconds == 60
    assert origin["CustomOriginConfig"]["OriginKeepaliveTimeout"] == 60


def test_the_cdn_shows_the_gateway_a_secret_that_no_template_holds(on_aws: Synthesis) -> None:
    (header,) = _stream_origin(on_aws)["OriginCustomHeaders"]
    assert header["HeaderName"] == ORIGIN_HEADER
    assert "{{resolve:secretsmanager:" in json.dumps(header["HeaderValue"])


def test_containers_are_reached_by_their_private_balancer(contained: Synthesis) -> None:
    origin = _stream_origin(contained)
    assert origin["VpcOriginConfig"]["OriginReadTimeout"] == 60
    assert [header["HeaderName"] for header in origin["OriginCustomHeaders"]] == [ORIGIN_HEADER]
    endpoint = contained.one("edge", "AWS::CloudFront::VpcOrigin")["VpcOriginEndpointConfig"]
    assert "Balancer" in json.dumps(endpoint["Arn"])


def test_a_firewall_asks_addresses_with_too_many_requests_to_wait(syntheses: Mapping[str, Synthesis]) -> None:
    production = syntheses["production"]
    (name,) = production.resources("edge", "AWS::WAFv2::WebACL")
    acl = production.one("edge", "AWS::WAFv2::WebACL")
    assert _config(production)["WebACLId"] == {"Fn::GetAtt": [name, "Arn"]}
    assert (acl["Scope"], acl["DefaultAction"]) == ("CLOUDFRONT", {"Allow": {}})
    (rule,) = acl["Rules"]
    assert rule["Statement"]["RateBasedStatement"] == {
        "AggregateKeyType": "IP",
        "EvaluationWindowSec": 300,
        "Limit": 5000,
    }
    answer = rule["Action"]["Block"]["CustomResponse"]
    assert (answer["ResponseCode"], answer["ResponseHeaders"]) == (429, [{"Name": "retry-after", "Value": "300"}])
    body = json.loads(acl["CustomResponseBodies"][answer["CustomResponseBodyKey"]]["Content"])
    assert body["error"] == "too_many_requests"


def test_without_the_setting_there_is_no_firewall(syntheses: Mapping[str, Synthesis]) -> None:
    assert not syntheses["dev"].resources("edge", "AWS::WAFv2::WebACL")
    assert "WebACLId" not in _config(syntheses["dev"])
