"""Encrypted keys of model providers: only their own row can decrypt them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opencode_cloud.contracts.access import KnownCredential
from opencode_cloud.contracts.ids import CredentialId, WorkspaceId
from opencode_cloud.gateway.store import provider_secrets
from opencode_cloud.gateway.store.provider_secrets import UpstreamKeys
from opencode_cloud.keys.store.vault import Vault
from opencode_cloud.kit.envelope_encryption import Sealed
from opencode_cloud.kit.errors import ServiceError
from tests.unit.aws import Cloud, by_boto3
from tests.waiting import until_awaited

SECRET = "sk-provider-secret"


@pytest.fixture
def key_arn(cloud: Cloud) -> str:
    client: Any = by_boto3("kms")
    return client.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def vault(key_arn: str) -> Vault:
    return Vault(key_arn)


def known(credential: str, sealed: Sealed) -> KnownCredential:
    return KnownCredential(
        id=CredentialId(credential),
        provider="openai",
        name="ours",
        base_url=None,
        sealed=sealed.ciphertext,
        data_key=sealed.data_key,
    )


def code(opened: Callable[[], object]) -> str:
    with pytest.raises(ServiceError) as raised:
        opened()
    return raised.value.code


def test_a_secret_opens_for_its_own_row(vault: Vault) -> None:
    sealed = vault.seal(WorkspaceId("wrk_1"), CredentialId("cred_1"), SECRET)
    assert SECRET.encode() not in sealed.ciphertext + sealed.data_key
    assert vault.open(WorkspaceId("wrk_1"), CredentialId("cred_1"), sealed) == SECRET


@pytest.mark.parametrize(("workspace", "credential"), [("wrk_2", "cred_1"), ("wrk_1", "cred_2")])
def test_a_row_that_is_copied_elsewhere_does_not_open(vault: Vault, workspace: str, credential: str) -> None:
    sealed = vault.seal(WorkspaceId("wrk_1"), CredentialId("cred_1"), SECRET)
    assert code(lambda: vault.open(WorkspaceId(workspace), CredentialId(credential), sealed)) == "sealing_unavailable"


def test_each_secret_has_a_data_key_of_its_own(vault: Vault) -> None:
    first, second = (vault.seal(WorkspaceId("wrk_1"), CredentialId("cred_1"), SECRET) for _ in range(2))
    assert first.data_key != second.data_key
    assert first.ciphertext != second.ciphertext


async def test_the_gateway_opens_what_the_console_sealed(vault: Vault, key_arn: str) -> None:
    keys = UpstreamKeys("unused", key_arn)
    sealed = vault.seal(WorkspaceId("wrk_1"), CredentialId("cred_1"), SECRET)
    assert await keys.open(WorkspaceId("wrk_1"), known("cred_1", sealed)) == SECRET


async def test_the_gateway_does_not_open_another_workspaces(vault: Vault, key_arn: str) -> None:
    keys = UpstreamKeys("unused", key_arn)
    sealed = vault.seal(WorkspaceId("wrk_1"), CredentialId("cred_1"), SECRET)
    with pytest.raises(ServiceError) as raised:
        await keys.open(WorkspaceId("wrk_2"), known("cred_1", sealed))
    assert raised.value.code == "keys_unavailable"


async def test_a_missing_key_is_looked_for_while_calls_go_on(
    cloud: Cloud, key_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = by_boto3("secretsmanager")
    arn = client.create_secret(Name="upstreams", SecretString='{"openai": "sk-1"}')["ARN"]
    keys = UpstreamKeys(arn, key_arn)
    await keys.platform()
    client.put_secret_value(SecretId=arn, SecretString='{"openai": "sk-1", "google": "AIza"}')
    keys.look_for_missing()
    assert await keys.platform() == {"openai": "sk-1"}  # they were fetched a moment ago
    monkeypatch.setattr(provider_secrets, "MISSING_SECONDS", 0)
    keys.look_for_missing()

    async def known() -> bool:
        return "google" in await keys.platform()

    await until_awaited(known)


async def test_the_platforms_keys_are_read_by_upstream(cloud: Cloud, key_arn: str) -> None:
    client: Any = by_boto3("secretsmanager")
    arn = client.create_secret(Name="upstreams", SecretString='{"openai": "sk-1"}')["ARN"]
    keys = UpstreamKeys(arn, key_arn)
    assert await keys.platform() == {"openai": "sk-1"}
    client.put_secret_value(SecretId=arn, SecretString="{")
    assert await UpstreamKeys(arn, key_arn).platform() == {}
