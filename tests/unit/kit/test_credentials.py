"""Credentials: from the environment, from a container's endpoint, and by botocore; renewed before they expire."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opencode_cloud.kit.aws_api.credentials import (
    RENEWED_SECONDS,
    AccessKey,
    CredentialSource,
    NoCredentials,
    credential_source,
)
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from tests.unit.kit.http_server import HttpServer, Received, http_server

NOW = 1_795_000_000.0
HOURS = 6 * 3600


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


class Endpoint:
    """An endpoint that hands out numbered credentials."""

    def __init__(self) -> None:
        self.given = 0
        self.expires_at = NOW + HOURS
        self.away = False

    def answer(self, _: Received) -> bytes | None:
        if self.away:
            return b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
        self.given += 1
        end = datetime.fromtimestamp(self.expires_at, UTC).isoformat().replace("+00:00", "Z")
        given = {"AccessKeyId": f"AK{self.given}", "SecretAccessKey": "s", "Token": "t", "Expiration": end}
        body = json.dumps(given).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def served(monkeypatch: pytest.MonkeyPatch, server: HttpServer) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/creds?a=b")


def test_the_environments_key_is_used_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    source = CredentialSource(clock)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s1")
    assert source.get() == AccessKey("AK1", "s1", None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    clock.time += 60
    assert source.get() == AccessKey("AK1", "s1", "t")


def test_half_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK1")
    with pytest.raises(NoCredentials, match="AWS_SECRET_ACCESS_KEY"):
        CredentialSource().get()


def test_a_containers_credentials_are_renewed_before_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, clock = Endpoint(), Clock()
    with http_server(endpoint.answer) as server:
        served(monkeypatch, server)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer x")
        source = CredentialSource(clock)
        keys = [source.get().access_key]
        for moment in (HOURS - RENEWED_SECONDS - 1, HOURS - RENEWED_SECONDS):
            clock.time = NOW + moment
            keys.append(source.get().access_key)
    assert keys == ["AK1", "AK1", "AK2"]
    assert server.received[0].line == "GET /creds?a=b HTTP/1.1"
    assert server.received[0].headers["authorization"] == "Bearer x"


def test_a_token_file_is_read_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    endpoint, clock = Endpoint(), Clock()
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    with http_server(endpoint.answer) as server:
        served(monkeypatch, server)
        source = CredentialSource(clock)
        for token in ("one", "two"):
            (tmp_path / "token").write_text(token + "\n")
            source.get()
            source.renew()
    assert [each.headers["authorization"] for each in server.received] == ["one", "two"]


def test_while_the_endpoint_is_away_the_last_credentials_serve_until_they_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint, clock = Endpoint(), Clock()
    with http_server(endpoint.answer) as server:
        served(monkeypatch, server)
        source = CredentialSource(clock)
        source.get()
        endpoint.away = True
        clock.time = NOW + HOURS - 60
        assert source.get().access_key == "AK1"
        clock.time = NOW + HOURS
        with pytest.raises(AwsUnreachable):
            source.get()
        endpoint.away = False
        assert source.get().access_key == "AK2"


def test_credentials_are_not_fetched_from_elsewhere_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://credentials.example/creds")
    with pytest.raises(NoCredentials, match="without TLS"):
        CredentialSource().get()


def test_a_profile_is_botocores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = AKP\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/creds")
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert CredentialSource().get().access_key == "AKP"


def test_without_any_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NoCredentials, match="no role"):
        CredentialSource().get()


@pytest.mark.parametrize("valid", [True, False])
def test_many_threads_fetch_once(monkeypatch: pytest.MonkeyPatch, valid: bool) -> None:
    endpoint, clock = Endpoint(), Clock()
    if not valid:
        endpoint.expires_at = NOW + 30  # shorter than the pause between reads
    with http_server(endpoint.answer) as server, ThreadPoolExecutor(8) as pool:
        served(monkeypatch, server)
        source = CredentialSource(clock)
        got: Callable[[int], Any] = lambda _: source.get().access_key  # noqa: E731
        assert set(pool.map(got, range(8))) == {"AK1"}
    assert endpoint.given == 1


@pytest.mark.parametrize("key", ["of the first test", "of the second test"])
def test_each_test_has_the_credentials_of_its_own_environment(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """All clients of a process share one source, which keeps what it has read for a minute (tests/conftest.py)."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert credential_source().get().access_key == key
