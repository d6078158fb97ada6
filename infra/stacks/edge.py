"""The one public host: CloudFront routes by path to APIs, the gateway and a bucket."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

import json
from collections.abc import Sequence
from typing import Any

from aws_cdk import CfnOutput, Duration, SecretValue, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.apis import WEBSOCKET_STAGE
from infra.constructs.firewall import web_acl_arn
from infra.constructs.nag import acknowledge
from infra.constructs.references import weakly
from infra.routes import (
    ERROR_SECONDS,
    HUB_ROUTES,
    ORIGIN_HEADER,
    PROTOCOL_PARAMETER,
    ROUTES,
    VIEWER_HEADER,
    Route,
    Target,
)
from infra.service_settings import Domain
from infra.stacks.data import DataStack
from infra.stacks.gateway import GatewayStack
from infra.stacks.hub import HubStack
from infra.stacks.service_signals import of_certificate
from infra.stacks.sharing import SharingStack
from infra.stage import EDGE_REGION, Stage

CATCH_ALL = "/*"
ORIGIN_TIMEOUT = Duration.seconds(30)
"""Seconds to wait for an answer: API Gateway's own limit."""

KEPT_OPEN = Duration.seconds(60)
"""Seconds that an idle connection to the gateway stays open. A new one costs round trips before the first byte."""


class EdgeStack(Stack):
    """Distribution, and with a domain its certificate and alias records."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        stage: Stage,
        data: DataStack,
        sharing: SharingStack,
        gateway: GatewayStack,
        hub: HubStack | None,
        alarms: Alarms | None,
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._sharing = sharing
        self._proof = {ORIGIN_HEADER: SecretValue.secrets_manager(weakly(data.origin_secret_arn)).unsafe_unwrap()}
        """The header by which origins know that the CDN sent a request."""
        self._stream_origin = gateway.origin(
            custom_headers=self._proof,
            keepalive_timeout=KEPT_OPEN,
            read_timeout=Duration.seconds(stage.gateway.read_seconds),
        )
        self._hub_origin = (
            hub.origin(custom_headers=self._proof, keepalive_timeout=KEPT_OPEN, read_timeout=ORIGIN_TIMEOUT)
            if hub
            else None
        )
        self._routes = HUB_ROUTES if hub else ROUTES
        # By its name only: the bucket's own stack grants access to CloudFront, which avoids a cycle between the stacks.
        self._site = s3.Bucket.from_bucket_name(self, "Site", weakly(data.site_name))
        self._headers = self._security_headers()
        domain = stage.domain.name if stage.domain else ""
        self._rewrite = cloudfront.Function(
            self,
            "Rewrite",
            comment="Adds the host and the viewer's address; rewrites WebSocket paths to the stage of their API.",
            code=cloudfront.FunctionCode.from_inline(viewer_request_code(self._routes, WEBSOCKET_STAGE, domain)),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
        )
        zone = self._zone(stage.domain) if stage.domain else None
        certificate = self._certificate(stage.domain, zone) if stage.domain and zone else None
        self.distribution = self._distribution(stage, certificate)
        # Metrics of a certificate are in its own region. Elsewhere `make preflight` looks at its end.
        if certificate and alarms and stage.region == EDGE_REGION:
            alarms.add(of_certificate(certificate.certificate_arn), self)
        if stage.domain and zone:
            self._alias_records(stage.domain, zone)
        url = stage.public_url or f"https://{self.distribution.distribution_domain_name}"
        CfnOutput(self, "PublicUrl", value=url)

    def _distribution(self, stage: Stage, certificate: acm.ICertificate | None) -> cloudfront.Distribution:
        behaviors = {route.pattern: self._behavior(route) for route in self._routes}
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"Opencode Cloud, stage {stage.name}",
            default_behavior=behaviors.pop(CATCH_ALL),
            additional_behaviors=behaviors,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if stage.domain else None,
            domain_names=[stage.domain.name] if stage.domain else None,
            certificate=certificate,
            web_acl_id=web_acl_arn(self, stage.firewall) if stage.firewall else None,
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=Duration.seconds(seconds))
                for status, seconds in ERROR_SECONDS.items()
            ],
        )
        acknowledge(distribution, "Teams work from all countries.", "CFR1")
        if not stage.firewall:
            acknowledge(distribution, "By default throttles and limits per address suffice, at no fixed cost.", "CFR2")
        acknowledge(
            distribution, "Paths contain share ids, which are links. The APIs log requests without them.", "CFR3"
        )
        if not stage.domain:
            acknowledge(distribution, "CloudFront's own certificate comes with its own policy; set a domain.", "CFR4")
        return distribution

    def _behavior(self, route: Route) -> cloudfront.BehaviorOptions:
        if route.target is Target.SITE:
            return self._site_behavior()
        if route.target is Target.STREAM:
            return self._passing_behavior(self._stream_origin)
        if route.target is Target.HUB and self._hub_origin is not None:
            return self._passing_behavior(self._hub_origin)
        return self._api_behavior(route)

    def _passing_behavior(self, origin: cloudfront.IOrigin) -> cloudfront.BehaviorOptions:
        """Pass everything on unchanged, in both directions, without caching, buffering or compression."""
        return cloudfront.BehaviorOptions(
            origin=origin,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            compress=False,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            response_headers_policy=self._headers,
            # A key that was sent without TLS is already exposed, so refuse the request instead of redirecting it.
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            function_associations=[self._rewriting()],
        )

    def _rewriting(self) -> cloudfront.FunctionAssociation:
        return cloudfront.FunctionAssociation(
            function=self._rewrite, event_type=cloudfront.FunctionEventType.VIEWER_REQUEST
        )

    def _site_behavior(self) -> cloudfront.BehaviorOptions:
        """Serve from the bucket, or from the cache when the bucket fails. Scripts of any origin may read it."""
        return cloudfront.BehaviorOptions(
            origin=origins.S3BucketOrigin.with_origin_access_control(self._site),
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS,
            cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
            origin_request_policy=cloudfront.OriginRequestPolicy.CORS_S3_ORIGIN,
            response_headers_policy=self._headers,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        )

    def _api_behavior(self, route: Route) -> cloudfront.BehaviorOptions:
        websocket = route.target is Target.WEBSOCKET
        api = self._sharing.websocket.api if websocket else self._sharing.http.api
        caching = cloudfront.CachePolicy
        return cloudfront.BehaviorOptions(
            origin=origins.HttpOrigin(
                f"{api.api_id}.execute-api.{self.region}.{self.url_suffix}",
                custom_headers=self._proof,
                protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
                origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
                read_timeout=ORIGIN_TIMEOUT,
            ),
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS
            if route.cacheable
            else cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=caching.CACHING_OPTIMIZED if route.cacheable else caching.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            response_headers_policy=None if websocket else self._headers,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY
            if websocket
            else cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            function_associations=[self._rewriting()],
        )

    def _security_headers(self) -> cloudfront.ResponseHeadersPolicy:
        """Return the common headers of HTTP answers. Functions set headers that depend on content (CSP, CORS)."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            "SecurityHeaders",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.days(365), include_subdomains=False, override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=False
                ),
            ),
        )

    def _zone(self, domain: Domain) -> route53.IHostedZone:
        return route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=domain.zone_id, zone_name=domain.zone_name
        )

    def _certificate(self, domain: Domain, zone: route53.IHostedZone) -> acm.ICertificate:
        if domain.certificate_arn:
            return acm.Certificate.from_certificate_arn(self, "Certificate", domain.certificate_arn)
        validation = acm.CertificateValidation.from_dns(zone)
        return acm.Certificate(self, "Certificate", domain_name=domain.name, validation=validation)

    def _alias_records(self, domain: Domain, zone: route53.IHostedZone) -> None:
        target = route53.RecordTarget.from_alias(targets.CloudFrontTarget(self.distribution))
        for kind in (route53.ARecord, route53.AaaaRecord):
            kind(self, kind.__name__, zone=zone, record_name=f"{domain.name}.", target=target)


def viewer_request_code(routes: Sequence[Route], websocket_stage: str, domain: str) -> str:
    """Return the JavaScript that CloudFront runs on each request, generated from the table of routes.

    It names our host to the origin: ``domain``, or the distribution's own name. No header of a viewer decides it.

    Raises:
        ValueError: for a WebSocket route that is not one exact path, since API Gateway takes no other.
    """
    sockets = [route for route in routes if route.target is Target.WEBSOCKET]
    if inexact := [route.pattern for route in sockets if "*" in route.pattern]:
        raise ValueError(f"WebSocket routes must be exact paths: {', '.join(inexact)}")
    protocols = {route.pattern: route.protocol for route in sockets}
    return f"""const PROTOCOLS = {json.dumps(protocols)};
const DOMAIN = {json.dumps(domain)};

function handler(event) {{
  const request = event.request;
  request.headers['x-forwarded-host'] = {{ value: DOMAIN || event.context.distributionDomainName }};
  request.headers['{VIEWER_HEADER}'] = {{ value: event.viewer.ip }};
  const protocol = PROTOCOLS[request.uri];
  if (protocol) {{
    request.uri = '/{websocket_stage}';
    request.querystring.{PROTOCOL_PARAMETER} = {{ value: protocol }};
  }}
  return request;
}}
"""
