"""The path of an audit entry from a plane without SQL. It arrives complete, with its actor."""

from __future__ import annotations

import msgspec

from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.audit.models import AuditRecord
from opencode_cloud.audit.service import entry
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from tests.unit.aws import Cloud

ACTOR = Actor(
    kind=ActorKind.MEMBER,
    credential=CredentialKind.TOKEN,
    id="mem_1",
    name="ada@example.com",
    workspace_id=WorkspaceId("wrk_1"),
    address="192.0.2.1",
    correlation_id="trace",
)
TARGET = Target("share", "shr_1", "A session")


def received(cloud: Cloud, url: str) -> list[AuditRecord]:
    return [msgspec.json.decode(message["Body"], type=AuditRecord) for message in cloud.messages(url)]


def test_an_entry_arrives_as_it_was_sent(cloud: Cloud) -> None:
    url = cloud.queue("audit")
    sent = entry(ACTOR, "share.removed", TARGET, workspace_id=None, before={"mode": "link"}, after=None)
    AuditQueue(url).send(sent)
    assert received(cloud, url) == [sent]


def test_a_recorded_action_names_who_did_what_to_what(cloud: Cloud) -> None:
    url = cloud.queue("audit")
    AuditQueue(url).record(ACTOR, "share.changed", TARGET, before={"mode": "link"}, after={"mode": "workspace"})
    [found] = received(cloud, url)
    assert (found.workspace_id, found.actor_kind, found.actor_id, found.actor_name) == (
        "wrk_1",
        "member",
        "mem_1",
        "ada@example.com",
    )
    assert (found.action, found.target_kind, found.target_id, found.target_name) == (
        "share.changed",
        "share",
        "shr_1",
        "A session",
    )
    assert (found.before, found.after) == ({"mode": "link"}, {"mode": "workspace"})
    assert (found.credential, found.address, found.correlation_id) == ("token", "192.0.2.1", "trace")
