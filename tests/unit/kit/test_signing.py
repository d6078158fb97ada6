"""Our signer and botocore's produce the same signature for any connection id, body and credentials."""

from __future__ import annotations

import datetime
from unittest.mock import patch
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.signing import Signer

HOST = "abc123.execute-api.eu-central-1.amazonaws.com"
NOW = 1_795_420_000.0
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def signed_by_botocore(credentials: Credentials, method: str, path: str, body: bytes) -> str:
    request = AWSRequest(method=method, url=f"https://{HOST}{path}", data=body)
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    with patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(credentials, "execute-api", "eu-central-1").add_auth(request)
    return request.headers["Authorization"]


@given(TEXT, st.binary(max_size=200), TEXT, TEXT, st.none() | TEXT, st.sampled_from(["POST", "DELETE", "GET"]))
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
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    with patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(credentials, "dynamodb", "eu-central-1").add_auth(request)
    signer = Signer(credentials.get_frozen_credentials(), "eu-central-1", "dynamodb", HOST, NOW, target)
    headers = signer.headers("POST", "/", body)
    assert headers["authorization"] == request.headers["Authorization"]
    assert target.items() <= headers.items()
