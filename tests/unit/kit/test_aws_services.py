"""Our clients of SQS, KMS, Secrets Manager, Lambda and S3, against moto and against scripted answers."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.request import urlopen

import pytest
from msgspec.structs import replace

from opencode_cloud.kit.aws_api import json_services, s3
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.errors import AwsRefusal, AwsUnreachable
from opencode_cloud.kit.aws_api.json_services import Kms, Lambda, SecretsManager, Sqs
from opencode_cloud.kit.aws_api.s3 import S3
from tests.unit.aws import Cloud, by_boto3
from tests.unit.kit.http_server import HttpServer, Received, http_server

CONTEXT = {"row": "1"}


class TestWithMoto:
    def test_a_message_is_sent_and_put_off(self, cloud: Cloud) -> None:
        url = cloud.queue("q")
        Sqs().send_message(url, "now ä")
        Sqs().send_message(url, "later", delay_seconds=600)
        [message] = cloud.messages(url)
        assert message["Body"] == "now ä"
        Sqs().change_visibility(url, message["ReceiptHandle"], 0)
        assert len(cloud.messages(url)) == 1

    def test_a_data_key_opens_for_its_context_only(self, cloud: Cloud) -> None:
        key = by_boto3("kms").create_key()["KeyMetadata"]["Arn"]
        plain, encrypted = Kms().generate_data_key(key, CONTEXT)
        assert len(plain) == 32
        assert Kms().decrypt(key, encrypted, CONTEXT) == plain
        with pytest.raises(AwsRefusal) as refused:
            Kms().decrypt(key, encrypted, {"row": "2"})
        assert refused.value.code == "InvalidCiphertextException"

    def test_a_secret_is_read(self, cloud: Cloud) -> None:
        arn = by_boto3("secretsmanager").create_secret(Name="s", SecretString="v")["ARN"]
        assert SecretsManager().secret(arn) == "v"
        with pytest.raises(AwsRefusal) as refused:
            SecretsManager().secret("missing")
        assert refused.value.code == "ResourceNotFoundException"

    def test_an_object_is_stored_with_its_headers(self, cloud: Cloud) -> None:
        bucket = cloud.bucket("bucket")
        S3().put(bucket, "a/b ü+%.json", b"{}", {"content-type": "application/json"}, {"origin": "x"})
        found = S3().get(bucket, "a/b ü+%.json")
        assert (found.body, found.metadata) == (b"{}", {"origin": "x"})
        assert by_boto3("s3").head_object(Bucket=bucket, Key="a/b ü+%.json")["ContentType"] == "application/json"

    def test_what_is_not_there_is_said(self, cloud: Cloud) -> None:
        bucket = cloud.bucket("bucket")
        assert not S3().exists(bucket, "a")
        with pytest.raises(AwsRefusal) as refused:
            S3().get(bucket, "a")
        assert (refused.value.code, refused.value.status) == ("NoSuchKey", 404)

    def test_objects_are_listed_with_their_age(self, cloud: Cloud) -> None:
        bucket = cloud.bucket("bucket")
        names = ["a/<&>", "a/ü +", "b/c"]
        for name in names:
            S3().put(bucket, name, b"", {})
        found = list(S3().objects(bucket, "a/"))
        assert sorted(each.key for each in found) == sorted(names[:2])
        assert all(each.stored_at > 1_700_000_000 for each in found)

    def test_versions_are_deleted(self, cloud: Cloud) -> None:
        bucket = cloud.bucket("bucket", versioned=True)
        for _ in range(2):
            S3().put(bucket, "a/<&>ü +", b"", {})
        by_boto3("s3").delete_object(Bucket=bucket, Key="a/<&>ü +")
        [versions] = S3().versions(bucket, "a/")
        assert [key for key, _ in versions] == ["a/<&>ü +"] * 3
        S3().delete_versions(bucket, versions)
        assert list(S3().versions(bucket, "")) == [[]]


@dataclass
class Script:
    """A server that gives scripted answers in turn."""

    server: HttpServer
    answers: deque[bytes | None] = field(default_factory=deque[bytes | None])

    def add(self, status: int, body: str = "", headers: str = "") -> None:
        """Append an answer."""
        length = len(body.encode())
        self.answers.append(f"HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}".encode())

    @property
    def asked(self) -> list[Received]:
        """Return the requests so far."""
        return self.server.received


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    faster = replace(json_services.BACKOFF, first=0.001)
    for module in (json_services, s3):
        monkeypatch.setattr(module, "BACKOFF", faster)
    credential_source().renew()
    answers: deque[bytes | None] = deque()
    with http_server(lambda _: answers.popleft()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield Script(server, answers)


def test_a_function_is_invoked_asynchronously_by_name_or_arn(script: Script) -> None:
    arn = "arn:aws:lambda:us-east-1:1:function:deliver"
    for name in ("deliver", arn):
        script.add(202)
        Lambda().invoke_later(name, b"{}")
    first, second = script.asked
    assert first.line == "POST /2015-03-31/functions/deliver/invocations HTTP/1.1"
    assert second.line.startswith("POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Adeliver/")
    assert (first.headers["x-amz-invocation-type"], first.body) == ("Event", b"{}")


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ThrottlingException"), (429, "TooManyRequestsException"), (500, "Internal"), (503, ""), (400, "SlowDown")],
)
def test_what_passes_is_tried_again(script: Script, status: int, code: str) -> None:
    for _ in range(2):
        script.add(status, json.dumps({"__type": f"com.amazonaws#{code}"}))
    script.answers.append(None)  # the connection ends without an answer
    script.add(200, json.dumps({"SecretString": "v"}))
    assert SecretsManager().secret("s") == "v"
    assert len(script.asked) == 4


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ('{"__type": "com.amazon.coral#AccessDeniedException", "Message": "no"}', "", "AccessDeniedException"),
        ('{"message": "no"}', "x-amzn-errortype: ResourceNotFoundException:http://x/\r\n", "ResourceNotFoundException"),
        ("<html>", "", "Unknown"),
    ],
)
def test_a_refusal_has_the_services_code_and_is_not_tried_again(
    script: Script, body: str, headers: str, code: str
) -> None:
    script.add(403, body, headers)
    with pytest.raises(AwsRefusal) as refused:
        Lambda().invoke_later("f", b"")
    assert (refused.value.code, refused.value.status, len(script.asked)) == (code, 403, 1)


def test_a_service_that_never_answers_is_unreachable(script: Script) -> None:
    script.answers.extend([None] * 4)
    with pytest.raises(AwsUnreachable):
        Sqs().send_message("http://q", "x")
    assert len(script.asked) == 4


def test_listings_are_read_page_by_page(script: Script) -> None:
    def page(key: str, rest: str) -> str:
        entry = f"<Contents><Key>{key}</Key><LastModified>2026-11-29T00:00:00.000Z</LastModified></Contents>"
        encoding = "<EncodingType>url</EncodingType>"
        return f'<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{encoding}{entry}{rest}</R>'

    script.add(200, page("a%2Bb", "<IsTruncated>true</IsTruncated><NextContinuationToken>t/1=</NextContinuationToken>"))
    script.add(200, page("c+d", "<IsTruncated>false</IsTruncated>"))
    assert [each.key for each in S3().objects("b", "a")] == ["a+b", "c d"]
    assert "continuation-token=t%2F1%3D" in script.asked[1].line


def test_versions_are_read_page_by_page(script: Script) -> None:
    def page(tag: str, rest: str) -> str:
        return f"<R><{tag}><Key>k</Key><VersionId>{tag}</VersionId></{tag}>{rest}</R>"

    more = "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
    script.add(200, page("Version", more))
    script.add(200, page("DeleteMarker", "<IsTruncated>false</IsTruncated>"))
    assert list(S3().versions("b", "")) == [[("k", "Version")], [("k", "DeleteMarker")]]
    assert "key-marker=k" in script.asked[1].line
    assert "version-id-marker=v" in script.asked[1].line


def test_a_version_that_stays_is_a_refusal(script: Script) -> None:
    error = "<Error><Key>k</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    script.add(200, f"<DeleteResult>{error}</DeleteResult>")
    with pytest.raises(AwsRefusal) as refused:
        S3().delete_versions("b", [("k", "1")])
    assert refused.value.code == "AccessDenied"


@pytest.mark.parametrize(("status", "absent"), [(404, True), (403, False)])
def test_only_404_says_that_an_object_is_absent(script: Script, status: int, *, absent: bool) -> None:
    script.answers.append(f"HTTP/1.1 {status} X\r\ncontent-length: 9\r\n\r\n".encode())
    if absent:
        assert not S3().exists("b", "k")
    else:
        with pytest.raises(AwsRefusal) as refused:
            S3().exists("b", "k")
        assert refused.value.code == "AccessDenied"


def test_an_address_needs_no_credentials(script: Script) -> None:
    script.add(200, "content")
    with urlopen(S3().address("b", "a/b", 60)) as answer:
        assert answer.read() == b"content"
    assert script.asked[0].line.startswith("GET /b/a/b?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert "authorization" not in script.asked[0].headers


def test_a_bucket_is_in_the_host_where_its_name_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = S3()
    assert client.address("my-bucket", "k", 60).startswith("https://my-bucket.s3.eu-west-1.amazonaws.com/k?")
    assert client.address("my.bucket", "k", 60).startswith("https://s3.eu-west-1.amazonaws.com/my.bucket/k?")
