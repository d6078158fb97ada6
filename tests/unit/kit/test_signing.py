"""Our signers and botocore's produce the same signatures for any names, bodies and credentials."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.aws_api.credentials import CredentialSource
from opencode_cloud.kit.aws_api.signing import Signer, Signers, canonical_query, presigned_query, signed_headers

HOST = "abc123.execute-api.eu-central-1.amazonaws.com"
NOW = 1_795_420_000.0
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
CONNECTION = TEXT.filter(lambda name: name not in (".", ".."))  # those change the path; API Gateway assigns neither


def at_now() -> Any:
    """Set botocore's clock."""
    return patch("botocore.auth.get_current_datetime", return_value=datetime.datetime.fromtimestamp(NOW, datetime.UTC))


def signed_by_botocore(credentials: Credentials, method: str, path: str, body: bytes) -> str:
    request = AWSRequest(method=method, url=f"https://{HOST}{path}", data=body)
    with at_now():
        SigV4Auth(credentials, "execute-api", "eu-central-1").add_auth(request)
    return request.headers["Authorization"]


@given(CONNECTION, st.binary(max_size=200), TEXT, TEXT, st.none() | TEXT, st.sampled_from(["POST", "DELETE", "GET"]))
def test_a_signature_is_the_one_that_botocore_makes(
    connection: str, body: bytes, access: str, secret: str, token: str | None, method: str
) -> None:
    path = f"/live/@connections/{quote(connection, safe='')}"
    credentials = Credentials(access, secret, token)
    signer = Signer(credentials.get_frozen_credentials(), "eu-central-1", "execute-api", HOST, NOW)
    head = signer.head(method, path, body).decode()
    assert f"authorization: {signed_by_botocore(credentials, method, path, body)}\r\n" in head
    assert head.startswith(f"{method} {path} HTTP/1.1\r\nhost: {HOST}\r\n")
    assert head.endswith(f"content-length: {len(body)}\r\n\r\n")


@given(st.binary(max_size=200), TEXT, TEXT, st.none() | TEXT)
def test_further_headers_are_signed_as_botocore_signs_them(
    body: bytes, access: str, secret: str, token: str | None
) -> None:
    credentials = Credentials(access, secret, token)
    target = {"x-amz-target": "DynamoDB_20120810.GetItem"}
    request = AWSRequest(method="POST", url=f"https://{HOST}/", data=body, headers=target)
    with at_now():
        SigV4Auth(credentials, "dynamodb", "eu-central-1").add_auth(request)
    signer = Signer(credentials.get_frozen_credentials(), "eu-central-1", "dynamodb", HOST, NOW, target)
    headers = signer.headers("POST", "/", body)
    assert headers["authorization"] == request.headers["Authorization"]
    assert target.items() <= headers.items()


S3_HOST = "bucket.s3.eu-central-1.amazonaws.com"
KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\x7f\r\n", min_codepoint=32), min_size=1, max_size=40)


@given(KEYS, st.binary(max_size=200), st.dictionaries(TEXT, TEXT, max_size=3), TEXT, TEXT, st.none() | TEXT)
def test_requests_to_s3_are_signed_as_botocore_signs_them(
    key: str, body: bytes, query: dict[str, str], access: str, secret: str, token: str | None
) -> None:
    path = "/" + quote(key, safe="/~")
    extra = {"content-type": "application/json", "x-amz-meta-origin": "a  b"}
    url = f"https://{S3_HOST}{path}?{canonical_query(query)}"
    credentials = Credentials(access, secret, token)
    request = AWSRequest(method="PUT", url=url, data=body, headers=dict(extra))
    with at_now():
        S3SigV4Auth(credentials, "s3", "eu-central-1").add_auth(request)
    frozen = credentials.get_frozen_credentials()
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": S3_HOST, **extra}
    ours = signed_headers(frozen, "eu-central-1", "s3", NOW, ("PUT", path, query), headers, digest)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-content-sha256"] == request.headers["X-Amz-Content-SHA256"] == digest


@given(KEYS, TEXT, TEXT, st.none() | TEXT, st.integers(1, 604_800))
def test_addresses_in_s3_are_signed_as_botocore_signs_them(
    key: str, access: str, secret: str, token: str | None, seconds: int
) -> None:
    path = "/" + quote(key, safe="/~")
    credentials = Credentials(access, secret, token)
    request = AWSRequest(method="GET", url=f"https://{S3_HOST}{path}")
    with at_now():
        S3SigV4QueryAuth(credentials, "s3", "eu-central-1", expires=seconds).add_auth(request)
    frozen = credentials.get_frozen_credentials()
    ours = presigned_query(frozen, "eu-central-1", "s3", NOW, (S3_HOST, path), seconds)
    assert parse_qs(ours) == parse_qs(urlsplit(str(request.url)).query)


@given(st.lists(st.floats(0, 200_000), min_size=1, max_size=6))
def test_no_signer_is_older_than_a_minute(passed: list[float]) -> None:
    clock = [NOW]
    signers = Signers(CredentialSource(), "eu-central-1", "sqs", HOST, lambda: clock[0])
    with patch.dict("os.environ", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}):
        for seconds in passed:
            clock[0] += seconds
            stamp = signers.signer("SendMessage", {}).headers("POST", "/", b"")["x-amz-date"]
            made = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%S%z").timestamp()
            assert clock[0] - 60 - 1 < made <= clock[0]
