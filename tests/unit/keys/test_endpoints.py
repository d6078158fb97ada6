"""URLs of providers: allowed and forbidden ones, and the results of their answers."""

from collections.abc import Iterator

import pytest

from opencode_cloud.keys.endpoints import clean_base_url
from opencode_cloud.keys.models import CheckResult, Provider
from opencode_cloud.keys.store import ProviderClient
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.networks import is_private
from tests.provider_stand_in import ProviderStandIn

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
        "https://models.bücher.example/v1",
        "https://models.example.com/v 1",
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


@pytest.fixture
def provider() -> Iterator[ProviderStandIn]:
    with ProviderStandIn() as made:
        yield made


@pytest.mark.parametrize(
    ("kind", "key", "result"),
    [
        (Provider.OPENAI, "good-key", CheckResult.WORKS),
        (Provider.ANTHROPIC, "good-key", CheckResult.WORKS),
        (Provider.GOOGLE, "googles-key", CheckResult.WORKS),
        (ANY, "good-key", CheckResult.WORKS),
        (Provider.OPENAI, "bad-key-0", CheckResult.REFUSED),
        (Provider.GOOGLE, "googles-bad-key", CheckResult.REFUSED),
        (ANY, "busy-key", CheckResult.LIMITED),
        (ANY, "page-key", CheckResult.UNEXPECTED),
        (ANY, "elsewhere", CheckResult.UNEXPECTED),
        (ANY, "broken-key", CheckResult.UNEXPECTED),
    ],
)
def test_a_providers_answer_says_whether_a_key_works(
    provider: ProviderStandIn, kind: Provider, key: str, result: CheckResult
) -> None:
    assert ProviderClient(private=True).check(kind, provider.url, key) is result
    (seen,) = provider.seen
    assert seen.startswith("/v1/models")


def test_a_name_that_resolves_to_a_private_address_is_not_called(provider: ProviderStandIn) -> None:
    local = provider.url.replace("127.0.0.1", "localhost")
    assert ProviderClient(private=False).check(ANY, local, "good-key") is CheckResult.UNREACHABLE
    assert provider.seen == []
    assert ProviderClient(private=True).check(ANY, "http://127.0.0.1:1/v1", "good-key") is CheckResult.UNREACHABLE
