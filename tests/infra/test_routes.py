"""The table of routes. CloudFront's function and the front door route in the same way."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.constructs.apis import WEBSOCKET_STAGE
from infra.routes import ORIGIN_HEADER, ROUTES, VIEWER_HEADER, Route, Target, match
from infra.stacks.edge import viewer_request_code
from tests.infra.synthesis import Synthesis

HEADERS = {"host": {"value": "share.example.com"}, VIEWER_HEADER: {"value": "6.6.6.6"}}
PATHS = [
    ("/zen/v1/models", Target.STREAM, ""),
    ("/inference/anthropic/v1/messages", Target.STREAM, ""),
    ("/zen", Target.STREAM, ""),
    ("/live", Target.WEBSOCKET, "live"),
    ("/live/", Target.HTTP, ""),
    ("/lively", Target.HTTP, ""),
    ("/share_poll", Target.WEBSOCKET, "poll"),
    ("/share_pol", Target.HTTP, ""),
    ("/", Target.HTTP, ""),
    ("/share/abc", Target.HTTP, ""),
    ("/assets/1/share.js", Target.HTTP, ""),
    ("/assets", Target.HTTP, ""),
    ("/api/share/abc/sync", Target.HTTP, ""),
]


@pytest.mark.parametrize(("path", "target", "protocol"), PATHS)
def test_match(path: str, target: Target, protocol: str) -> None:
    assert (match(path).target, match(path).protocol) == (target, protocol)


@given(st.text())
def test_every_path_has_a_route_and_only_exact_ones_are_sockets(rest: str) -> None:
    path = "/" + rest
    assert (match(path).target is Target.WEBSOCKET) == (path in ("/live", "/share_poll"))


def test_only_assets_are_cacheable() -> None:
    assert [route.pattern for route in ROUTES if route.cacheable] == ["/assets/*"]


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_rewritten_queries_keep_everything_but_the_protocol(pairs: list[tuple[str, str]]) -> None:
    rewritten = parse_qsl(match("/live").rewrite_query(urlencode(pairs)), keep_blank_values=True)
    assert rewritten[-1] == ("protocol", "live")
    assert rewritten[:-1] == [(key, value) for key, value in pairs if key != "protocol"]


def test_other_queries_stay_as_they_are() -> None:
    assert match("/share/abc").rewrite_query("a=%2f&protocol=x") == "a=%2f&protocol=x"


def _viewer_requests(code: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    event = "{request, viewer: {ip: '192.0.2.1'}, context: {distributionDomainName: 'd1.cloudfront.example'}}"
    script = f"{code}\nconsole.log(JSON.stringify({json.dumps(requests)}.map(request => handler({event}))))"
    return json.loads(subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("path", [path for path, _, _ in PATHS])
def test_cloudfront_rewrites_as_the_front_door(syntheses: Mapping[str, Synthesis], path: str) -> None:
    code = syntheses["dev"].one("edge", "AWS::CloudFront::Function")["FunctionCode"]
    query = {"id": {"value": "abc"}, "protocol": {"value": "theirs"}}
    request = {"uri": path, "querystring": query, "headers": HEADERS}
    (sent,) = _viewer_requests(code, [request])
    route = match(path)
    expected = dict(parse_qsl(route.rewrite_query("id=abc&protocol=theirs")))
    assert sent["headers"]["x-forwarded-host"] == {"value": "d1.cloudfront.example"}
    assert sent["headers"][VIEWER_HEADER] == {"value": "192.0.2.1"}
    assert sent["uri"] == (f"/{WEBSOCKET_STAGE}" if route.target is Target.WEBSOCKET else path)
    assert {key: value["value"] for key, value in sent["querystring"].items()} == expected


def test_the_cdn_says_our_domain_whatever_the_viewer_asked_for() -> None:
    request = {"uri": "/", "querystring": {}, "headers": {"host": {"value": "evil.example"}}}
    (sent,) = _viewer_requests(viewer_request_code(ROUTES, "v1", "share.example.com"), [request])
    assert sent["headers"]["x-forwarded-host"] == {"value": "share.example.com"}


@pytest.mark.parametrize("stage", ["dev", "production"])
def test_every_origin_but_the_bucket_gets_the_proof_of_the_cdn(syntheses: Mapping[str, Synthesis], stage: str) -> None:
    config = syntheses[stage].one("edge", "AWS::CloudFront::Distribution")["DistributionConfig"]
    proofs = {
        json.dumps(origin.get("DomainName")): [each["HeaderName"] for each in origin.get("OriginCustomHeaders", [])]
        for origin in config["Origins"]
        if "S3OriginConfig" not in origin
    }
    assert len(proofs) >= 3
    assert set(map(tuple, proofs.values())) == {(ORIGIN_HEADER,)}


def test_distribution_has_one_behavior_a_route(syntheses: Mapping[str, Synthesis]) -> None:
    config = syntheses["dev"].one("edge", "AWS::CloudFront::Distribution")["DistributionConfig"]
    patterns = [behavior["PathPattern"] for behavior in config["CacheBehaviors"]]
    assert [*patterns, "/*"] == [route.pattern for route in ROUTES]


def test_a_socket_route_must_be_exact() -> None:
    with pytest.raises(ValueError, match="exact"):
        viewer_request_code([Route("/live/*", Target.WEBSOCKET, protocol="live")], "v1", "")
