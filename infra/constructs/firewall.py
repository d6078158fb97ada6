"""A firewall before the CDN: one rule, which blocks an address that sends too many requests (docs/decisions/065)."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

import json

from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.service_settings import Firewall

WINDOW_SECONDS = 300
_BODY = "TooMany"
_ANSWER = {
    "error": "too_many_requests",
    "message": "Your network address sent too many requests. Try again in five minutes.",
}


def web_acl_arn(scope: Construct, firewall: Firewall) -> str:
    """Return the ARN of the stage's ACL: the operator's own, or one that is created in `scope` (in us-east-1)."""
    if firewall.web_acl_arn:
        return firewall.web_acl_arn
    acl = waf.CfnWebACL(
        scope,
        "Firewall",
        scope="CLOUDFRONT",
        default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
        custom_response_bodies={
            _BODY: waf.CfnWebACL.CustomResponseBodyProperty(
                content=json.dumps(_ANSWER), content_type="APPLICATION_JSON"
            )
        },
        rules=[_rate_rule(firewall.requests)],
        visibility_config=_visible("Firewall"),
    )
    return acl.attr_arn


def _rate_rule(requests: int) -> waf.CfnWebACL.RuleProperty:
    refused = waf.CfnWebACL.CustomResponseProperty(
        # Clients wait at 429; at WAF's own 403 they would ask for another login.
        response_code=429,
        custom_response_body_key=_BODY,
        response_headers=[waf.CfnWebACL.CustomHTTPHeaderProperty(name="retry-after", value=str(WINDOW_SECONDS))],
    )
    return waf.CfnWebACL.RuleProperty(
        name="RequestsOfAnAddress",
        priority=0,
        action=waf.CfnWebACL.RuleActionProperty(block=waf.CfnWebACL.BlockActionProperty(custom_response=refused)),
        statement=waf.CfnWebACL.StatementProperty(
            rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(
                aggregate_key_type="IP", limit=requests, evaluation_window_sec=WINDOW_SECONDS
            )
        ),
        visibility_config=_visible("RequestsOfAnAddress"),
    )


def _visible(metric_name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    # Samples would show paths, which contain share ids.
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=metric_name, sampled_requests_enabled=False
    )
