"""Effects of a stage's settings: limits on new shares, a default lifetime. The services run here, over its tables."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from opencode_cloud.access.service import Access
from opencode_cloud.access.store import AccessStore
from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.contracts.ids import ClientSessionId
from opencode_cloud.kit import aws, rate_counters
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Forbidden, Gone, TooManyRequests
from opencode_cloud.kit.sockets import Sockets
from opencode_cloud.sharing.protocol.items import parse
from opencode_cloud.sharing.service import access as access_module
from opencode_cloud.sharing.service import publishing as publishing_module
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.store import ObjectStore, ShareStore, Tasks
from tests.integration.publisher import new_session_id
from tests.waiting import PATIENCE


@pytest.fixture
def publishing(stack: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Publishing]]:
    """Create the service with other settings, over the deployed tables."""
    settings = stack.client_settings()
    monkeypatch.setenv("AWS_ENDPOINT_URL", settings["endpoint_url"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", settings["region_name"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", settings["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", settings["aws_secret_access_key"])
    aws.dynamodb.cache_clear()
    credential_source().renew()
    store = ShareStore(stack.outputs["SharesTableName"], ObjectStore(stack.outputs["SharesBucketName"]))
    access = Access(AccessStore(stack.outputs["AccessTableName"], stack.outputs["SessionsTableName"]), lambda _: None)
    gate = ShareAccess(store, access)
    fan_out = FanOut(store, Sockets(stack.outputs["WebSocketEndpoint"]), Tasks(), gate)
    owning = Owning(store, access, fan_out, AuditQueue(stack.outputs["AuditQueueUrl"]))
    yield lambda **chosen: Publishing(store, fan_out, gate, owning, lambda: "a key of its own", **chosen)
    aws.dynamodb.cache_clear()


def test_one_address_can_make_only_so_many_shares_a_minute(
    publishing: Callable[..., Publishing], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = publishing(creates_per_minute=3)
    # Limits count a network of IPv6 as one caller.
    address, another = (f"2001:db8:{secrets.randbits(16):x}:{secrets.randbits(16):x}::1" for _ in range(2))
    present = now_seconds()
    monkeypatch.setattr(rate_counters, "now_seconds", lambda: present)
    known = [new_session_id() for _ in range(3)]
    for session_id in known:
        service.create(ClientSessionId(session_id), address)
    with pytest.raises(TooManyRequests) as refused:
        service.create(ClientSessionId(new_session_id()), address)
    assert refused.value.code == "too_many_creates"
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 60
    assert service.create(ClientSessionId(known[0]), address), "a session that has a share gets it, whatever the limit"
    assert service.create(ClientSessionId(new_session_id()), another)


def test_a_share_lives_as_long_as_the_stage_says(
    publishing: Callable[..., Publishing], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = publishing(lifetime_seconds=600)
    session_id = new_session_id()
    made = service.create(ClientSessionId(session_id), "192.0.2.1")
    batch = parse([b'{"type":"session","data":{}}'])
    assert service.sync(made.id, made.secret, batch, at=1).seq == 1
    later = now_seconds() + 601
    for module in (access_module, publishing_module):
        monkeypatch.setattr(module, "now_seconds", lambda: later)
    with pytest.raises(Gone):
        service.sync(made.id, made.secret, batch, at=2)
    assert service.create(ClientSessionId(session_id), "192.0.2.1").id != made.id


def test_a_stage_can_refuse_shares_without_an_owner(publishing: Callable[..., Publishing]) -> None:
    session_id = new_session_id()
    made = publishing().create(ClientSessionId(session_id), "192.0.2.1")
    service = publishing(anonymous=False)
    for known in (session_id, new_session_id()):
        with pytest.raises(Forbidden) as refused:
            service.create(ClientSessionId(known), "192.0.2.1")
        assert refused.value.code == "login_to_share"
    batch = parse([b'{"type":"session","data":{}}'])
    assert service.sync(made.id, made.secret, batch, at=1).seq == 1, "what is shared already goes on"


def test_the_old_protocols_operator_can_remove_a_share(stack: Any) -> None:
    made = httpx.post(f"{stack.url}/share_create", json={"sessionID": new_session_id()}, timeout=PATIENCE).json()
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.outputs["AdminSecretArn"])["SecretString"]
    address = f"{stack.url}/share_delete_admin"
    refused = httpx.post(address, json={"sessionShortName": made["id"], "adminSecret": "wrong"}, timeout=PATIENCE)
    assert (refused.status_code, refused.json()["error"]) == (403, "wrong_admin_secret")
    assert (
        httpx.post(address, json={"sessionShortName": made["id"], "adminSecret": secret}, timeout=PATIENCE).status_code
        == 200
    )
    assert httpx.get(f"{stack.url}/share_data", params={"id": made["id"]}, timeout=PATIENCE).status_code == 410
