"""Addresses of providers: what we call and what we do not; what answers are taken for."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from opencode_cloud.keys.endpoints import clean_base_url, is_private
from opencode_cloud.keys.models import CheckResult, Provider
from opencode_cloud.keys.store import ProviderClient
from opencode_cloud.kit.errors import ServiceError

ANY = Provider.OPENAI_COMPATIBLE


@pytest.mark.parametrize(
    "address",
    [
        "http://models.example.com/v1",
        "ftp://models.example.com",
        "https://user:secret@models.example.com/v1",
        "https://models.example.com/v1?key=1",
        "https://127.0.0.1/v1",
        "https://[::1]/v1",
        "https://[::ffff:127.0.0.1]/v1",
        "https://169.254.169.254/latest",
        "https://10.1.2.3/v1",
        "https://localhost/v1",
        "https://printer.local/v1",
        "https://models.example.com:99999/v1",
        "https:///v1",
        "nonsense",
    ],
)
def test_addresses_that_lead_astray_are_refused(address: str) -> None:
    with pytest.raises(ServiceError) as caught:
        clean_base_url(ANY, address, private=False)
    assert caught.value.code == "invalid_base_url"


def test_a_deployment_may_allow_private_addresses() -> None:
    assert clean_base_url(ANY, "http://127.0.0.1:8080/v1/", private=True) == "http://127.0.0.1:8080/v1"
    assert clean_base_url(ANY, "https://models.example.com/v1", private=False) == "https://models.example.com/v1"
    assert clean_base_url(Provider.OPENAI, None, private=False) is None
    with pytest.raises(ServiceError):
        clean_base_url(ANY, None, private=False)


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("8.8.8.8", False),
        ("2606:4700::1", False),
        ("192.168.0.1", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("fd00::1", True),
        ("fe80::1", True),
        ("::ffff:10.0.0.1", True),
    ],
)
def test_private_addresses_are_known(address: str, private: bool) -> None:
    assert is_private(address) is private


class Stand(BaseHTTPRequestHandler):
    """Answers as a provider does: by the key that comes."""

    seen: list[dict[str, str]] = []  # noqa: RUF012 - one list for the test to read

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append({**headers, "path": self.path})
        key = headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("authorization", "")[7:]
        status, body = ANSWERS[key]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        pass


ANSWERS: dict[str, tuple[int, bytes]] = {
    "good": (200, json.dumps({"data": [{"id": "m"}]}).encode()),
    "google": (200, json.dumps({"models": []}).encode()),
    "bad": (401, b"{}"),
    "googles-bad": (400, b"{}"),
    "busy": (429, b"{}"),
    "page": (200, b"<html>"),
    "elsewhere": (302, b""),
    "broken": (500, b""),
}


@pytest.fixture
def provider() -> Iterator[str]:
    Stand.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stand)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("kind", "key", "result"),
    [
        (Provider.OPENAI, "good", CheckResult.WORKS),
        (Provider.ANTHROPIC, "good", CheckResult.WORKS),
        (Provider.GOOGLE, "google", CheckResult.WORKS),
        (ANY, "good", CheckResult.WORKS),
        (Provider.OPENAI, "bad", CheckResult.REFUSED),
        (Provider.GOOGLE, "googles-bad", CheckResult.REFUSED),
        (ANY, "busy", CheckResult.LIMITED),
        (ANY, "page", CheckResult.UNEXPECTED),
        (ANY, "elsewhere", CheckResult.UNEXPECTED),
        (ANY, "broken", CheckResult.UNEXPECTED),
    ],
)
def test_a_providers_answer_says_whether_a_key_works(
    provider: str, kind: Provider, key: str, result: CheckResult
) -> None:
    assert ProviderClient(private=True).check(kind, provider, key) is result
    (seen,) = Stand.seen
    assert seen["path"].startswith("/v1/models")


def test_a_name_that_resolves_to_a_private_address_is_not_called(provider: str) -> None:
    local = provider.replace("127.0.0.1", "localhost")
    assert ProviderClient(private=False).check(ANY, local, "good") is CheckResult.UNREACHABLE
    assert Stand.seen == []
    assert ProviderClient(private=True).check(ANY, "http://127.0.0.1:1/v1", "good") is CheckResult.UNREACHABLE
