"""Endpoints follow botocore's data and its variables of the environment."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.session import Session

from opencode_cloud.kit.aws_api import endpoints

CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dynamodb": ("dynamodb", "list_tables", {}),
    "kms": ("kms", "list_keys", {}),
    "lambda": ("lambda", "list_functions", {}),
    "s3": ("s3", "list_objects_v2", {"Bucket": "bucket"}),
    "secrets_manager": ("secretsmanager", "list_secrets", {}),
    "sqs": ("sqs", "list_queues", {}),
}
"""Our names of services, with botocore's and a call."""
KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}


class _Asked(Exception):
    """A request would be sent to this host."""


@cache
def _session() -> Any:
    return Session()


def _regions() -> list[str]:
    return sorted(
        {
            region
            for partition in _session().get_available_partitions()
            for region in _session().get_available_regions("dynamodb", partition)
        }
    )


def _by_botocore(service: str, region: str, *, fips: bool, dual_stack: bool) -> str:
    name, operation, parameters = CALLS[service]
    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dual_stack)
    client: Any = _session().create_client(name, region, config=config, **KEYS)

    def refuse(request: Any, **_: Any) -> None:
        raise _Asked(urlsplit(request.url).hostname)

    client.meta.events.register(f"before-send.{name}", refuse)
    with pytest.raises(_Asked) as asked:
        getattr(client, operation)(**parameters)
    return str(asked.value).removeprefix("bucket.")


def test_every_region_has_the_host_that_botocore_knows() -> None:
    assert len(_regions()) > 30
    ours = {region: endpoints.host("dynamodb", region) for region in _regions()}
    assert ours == {region: _by_botocore("dynamodb", region, fips=False, dual_stack=False) for region in _regions()}


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "cn-north-1"])
@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize(("fips", "dual_stack"), [(False, False), (True, False), (False, True), (True, True)])
def test_variants_are_those_of_botocore(service: str, region: str, *, fips: bool, dual_stack: bool) -> None:
    if fips and region.startswith("cn-"):
        return  # China has no FIPS endpoints
    found = endpoints.host(service, region, fips=fips, dual_stack=dual_stack)
    assert found == _by_botocore(service, region, fips=fips, dual_stack=dual_stack)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "https://kms.eu-west-1.amazonaws.com"),
        ({"AWS_REGION": "us-east-2"}, "https://kms.us-east-2.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://kms-fips.eu-west-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://kms.eu-west-1.api.aws"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"}, "http://127.0.0.1:4566"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_KMS": "http://b"}, "http://b"),
        (
            {"AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://kms.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_the_environment_chooses(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert endpoints.endpoint("kms") == expected


def test_without_a_region_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(RuntimeError, match="AWS_REGION"):
        endpoints.region()


def test_a_server_in_place_of_aws_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_READ_SECONDS", raising=False)
    assert endpoints.read_seconds(5) == 5
    monkeypatch.setenv("AWS_READ_SECONDS", "30")
    assert endpoints.read_seconds(5) == 30
    monkeypatch.setenv("AWS_READ_SECONDS", "long")
    with pytest.raises(RuntimeError, match="AWS_READ_SECONDS must be a number of seconds, not 'long'"):
        endpoints.read_seconds(5)


def test_a_variable_separates_the_words_of_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    assert endpoints.configured("secrets_manager") == "http://127.0.0.1:1"
