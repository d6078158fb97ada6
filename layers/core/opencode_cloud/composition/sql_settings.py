"""Settings that several functions with SQL have in common."""

from __future__ import annotations

from typing import Annotated

from opencode_cloud.composition.settings import (
    AccessTable,
    DeploymentKeySecret,
    MailQueueUrl,
    PrivateProviders,
    RelayQueueUrl,
    ReloadsQueueUrl,
    SessionsTable,
    WebhooksQueueUrl,
)
from opencode_cloud.kit.sql import DatabaseSettings


class ControlPlaneSettings(DatabaseSettings):
    """Environment variables of every function with the outbox."""

    access_table: AccessTable
    relay_queue_url: RelayQueueUrl
    mail_queue_url: MailQueueUrl
    reloads_queue_url: ReloadsQueueUrl
    webhooks_queue_url: WebhooksQueueUrl
    deployment_key_secret: DeploymentKeySecret


class WorkspaceSettings(ControlPlaneSettings):
    """Environment variables of a function with the services of workspaces."""

    sessions_table: SessionsTable
    dns_server: Annotated[str, "the address and port of a DNS server; empty: the one of the system"] = ""
    check_mail_domains: Annotated[bool, "1 to check by DNS that invited addresses can get mail, else 0"] = True
    private_providers: PrivateProviders = False
