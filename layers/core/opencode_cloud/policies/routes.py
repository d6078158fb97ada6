"""HTTP routes of policies and configuration documents: read, publish, compare, restore."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import BaseModel, Field

from opencode_cloud.access.service import Access
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events
from opencode_cloud.kit.etags import etag, version_of_request
from opencode_cloud.kit.json_documents import Difference
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.policies.models import DocumentRevision, Policy, Version, Versioned
from opencode_cloud.policies.programs import Program
from opencode_cloud.policies.requests import ConfigurationChange, PolicyChange, Restoration
from opencode_cloud.policies.service import Publisher

WorkspaceParameter = Annotated[WorkspaceId, Path(description="Id of the workspace.")]
VersionNumber = Annotated[int, Path(ge=0, le=999_999_999, description="Number of a version.")]
First = Annotated[int, Query(alias="from", ge=0, le=999_999_999, description="The version to compare with.")]
Second = Annotated[int, Query(alias="to", ge=0, le=999_999_999, description="The version that is compared.")]


class PolicyRevision(Version):
    """A version of the policy."""

    policy: Policy


class ConfigurationRevision(Version):
    """A version of the configuration document."""

    configuration: dict[str, Any] = Field(description="A configuration of opencode, as in `opencode.json`.")


class Differences(BaseModel):
    """The differences of two versions."""

    changes: list[Difference]


class Compiled(BaseModel):
    """The clients' configuration."""

    config: dict[str, Any] = Field(description="The configuration document with the policy applied to it.")


TAG = "Policies and configuration"


class CheckedConfiguration(Compiled):
    """The clients' configuration that a document would make, and the programs in the document."""

    programs: list[Program] = Field(
        description="The programs that would run on members' machines. Only an owner publishes a change of these."
    )


class PolicyRoutes:
    """The routes of both documents."""

    def __init__(self, publisher: Publisher, access: Access, public_url: str) -> None:
        """``public_url`` is the deployment's address; empty: each request's own."""
        self._publisher = publisher
        self._access = access
        self._public_url = public_url

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        self._gate = Gate(app, self._access)
        self._add_policy()
        self._add_configuration()

    def _add_policy(self) -> None:
        add, root, one = self._gate.add, f"{WORKSPACE}/policy", f"{WORKSPACE}/policy/versions/<version>"
        read, manage = Permission.POLICY_READ, Permission.POLICY_MANAGE
        add(f"GET {root}", self.policy, read, "Get the policy", TAG)
        add(f"PUT {root}", self.publish_policy, manage, "Publish a policy", TAG)
        add(f"GET {root}/versions", self.policy_versions, read, "List the versions of the policy", TAG)
        add(f"GET {one}", self.policy_version, read, "Get a version of the policy", TAG)
        add(f"GET {root}/differences", self.policy_differences, read, "Compare versions of the policy", TAG)
        add(f"POST {one}/restore", self.restore_policy, manage, "Go back to a version of the policy", TAG)

    def _add_configuration(self) -> None:
        add, root = self._gate.add, f"{WORKSPACE}/configuration"
        one, name = f"{root}/versions/<version>", "the configuration"
        read, manage = Permission.CONFIGURATION_READ, Permission.CONFIGURATION_MANAGE
        add(f"GET {root}", self.configuration, read, f"Get {name}", TAG)
        add(f"PUT {root}", self.publish_configuration, manage, "Publish a configuration document", TAG)
        add(f"GET {root}/versions", self.configuration_versions, read, f"List the versions of {name}", TAG)
        add(f"GET {one}", self.configuration_version, read, f"Get a version of {name}", TAG)
        add(f"GET {root}/differences", self.configuration_differences, read, f"Compare versions of {name}", TAG)
        add(f"POST {one}/restore", self.restore_configuration, manage, f"Go back to a version of {name}", TAG)
        add(f"GET {root}/compiled", self.compiled, read, "Get the compiled configuration of clients", TAG)
        add(f"POST {root}/check", self.check, read, "Check a configuration document", TAG)

    # ----------------------------------------------------------------------------------------- policy

    def policy(self, workspace_id: WorkspaceParameter) -> Response[PolicyRevision]:
        """Get the current policy. A change must send its `ETag` as `If-Match`.

        Version 0 means that none was published yet; it restricts nothing.
        """
        return _policy_reply(self._publisher.current(Versioned.POLICY, workspace_id))

    def publish_policy(self, workspace_id: WorkspaceParameter, change: PolicyChange) -> Response[PolicyRevision]:
        """Publish a policy as the next version. Within seconds it is enforced and served to clients."""
        document = change.policy.model_dump(mode="json")
        return _policy_reply(self._publish(workspace_id, Versioned.POLICY, document, change.comment))

    def policy_versions(
        self, workspace_id: WorkspaceParameter, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[Version]:
        """List the versions of the policy, the latest first."""
        return self._versions(workspace_id, Versioned.POLICY, limit, cursor)

    def policy_version(self, workspace_id: WorkspaceParameter, version: VersionNumber) -> Response[PolicyRevision]:
        """Get one version of the policy."""
        return _policy_reply(self._publisher.revision(Versioned.POLICY, workspace_id, version))

    def policy_differences(self, workspace_id: WorkspaceParameter, first: First, second: Second) -> Differences:
        """Compare two versions of the policy."""
        return self._differences(workspace_id, Versioned.POLICY, first, second)

    def restore_policy(
        self, workspace_id: WorkspaceParameter, version: VersionNumber, restoration: Restoration
    ) -> Response[PolicyRevision]:
        """Publish an older version of the policy again, as the next version."""
        return _policy_reply(self._restore(workspace_id, Versioned.POLICY, version, restoration.comment))

    # ---------------------------------------------------------------------------------- configuration

    def configuration(self, workspace_id: WorkspaceParameter) -> Response[ConfigurationRevision]:
        """Get the current configuration document. A change must send its `ETag` as `If-Match`.

        Version 0 means that none was published yet; it is empty.
        """
        return _configuration_reply(self._publisher.current(Versioned.CONFIGURATION, workspace_id))

    def publish_configuration(
        self, workspace_id: WorkspaceParameter, change: ConfigurationChange
    ) -> Response[ConfigurationRevision]:
        """Publish a configuration document as the next version.

        It is validated with the client's own schema first, because a client does not start with a configuration that it
        finds invalid. `errors` lists each invalid place. Plugins, commands, servers, permissions and providers run on
        the members' machines, or lead there: only an owner publishes a change of these (`owner_required`).
        """
        published = self._publish(workspace_id, Versioned.CONFIGURATION, change.configuration, change.comment)
        return _configuration_reply(published)

    def configuration_versions(
        self, workspace_id: WorkspaceParameter, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[Version]:
        """List the versions of the configuration document, the latest first."""
        return self._versions(workspace_id, Versioned.CONFIGURATION, limit, cursor)

    def configuration_version(
        self, workspace_id: WorkspaceParameter, version: VersionNumber
    ) -> Response[ConfigurationRevision]:
        """Get one version of the configuration document."""
        return _configuration_reply(self._publisher.revision(Versioned.CONFIGURATION, workspace_id, version))

    def configuration_differences(self, workspace_id: WorkspaceParameter, first: First, second: Second) -> Differences:
        """Compare two versions of the configuration document."""
        return self._differences(workspace_id, Versioned.CONFIGURATION, first, second)

    def restore_configuration(
        self, workspace_id: WorkspaceParameter, version: VersionNumber, restoration: Restoration
    ) -> Response[ConfigurationRevision]:
        """Publish an older version of the configuration document again, as the next version."""
        return _configuration_reply(self._restore(workspace_id, Versioned.CONFIGURATION, version, restoration.comment))

    def compiled(self, workspace_id: WorkspaceParameter) -> Compiled:
        """Get the clients' configuration: the document with the policy applied to it."""
        return Compiled(config=self._publisher.compiled(workspace_id))

    def check(self, workspace_id: WorkspaceParameter, change: ConfigurationChange) -> CheckedConfiguration:
        """Preview the clients' configuration, or get the errors that prevent publishing a document.

        `programs` lists what would run on members' machines, or leads there.
        """
        config, programs = self._publisher.preview(workspace_id, change.configuration, here=self._here())
        return CheckedConfiguration(config=config, programs=programs)

    # -------------------------------------------------------------------------------------- internals

    def _publish(
        self, workspace_id: WorkspaceId, kind: Versioned, document: dict[str, Any], comment: str
    ) -> DocumentRevision:
        read = version_of_request(self._gate.event)
        return self._publisher.publish(self._gate.actor, workspace_id, kind, document, read, comment, here=self._here())

    def _restore(self, workspace_id: WorkspaceId, kind: Versioned, version: int, comment: str) -> DocumentRevision:
        read = version_of_request(self._gate.event)
        return self._publisher.restore(self._gate.actor, workspace_id, kind, version, read, comment, here=self._here())

    def _here(self) -> str:
        """Return this deployment's address."""
        return http_events.base_url(self._gate.event, self._public_url)

    def _versions(self, workspace_id: WorkspaceId, kind: Versioned, limit: int, cursor: str | None) -> Page[Version]:
        before = decode_cursor(cursor, tuple[int])
        rows = self._publisher.versions(kind, workspace_id, before[0] if before else None, limit + 1)
        return page_of(rows, limit, lambda row: (row.version,), lambda row: row)

    def _differences(self, workspace_id: WorkspaceId, kind: Versioned, first: int, second: int) -> Differences:
        return Differences(changes=self._publisher.differences(kind, workspace_id, first, second))


def _policy_reply(revision: DocumentRevision) -> Response[PolicyRevision]:
    shown = PolicyRevision(**_version(revision), policy=Policy.model_validate(revision.document))
    return Response(HTTPStatus.OK, "application/json", shown, _headers(revision))


def _configuration_reply(revision: DocumentRevision) -> Response[ConfigurationRevision]:
    shown = ConfigurationRevision(**_version(revision), configuration=revision.document)
    return Response(HTTPStatus.OK, "application/json", shown, _headers(revision))


def _version(revision: DocumentRevision) -> dict[str, Any]:
    return revision.model_dump(include=set(Version.model_fields))


def _headers(revision: DocumentRevision) -> dict[str, Any]:
    return {**http_events.PRIVATE, "ETag": etag(revision.version)}
