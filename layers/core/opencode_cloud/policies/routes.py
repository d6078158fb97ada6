"""HTTP to policies and configuration documents: read, publish, compare, go back."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict, Field

from opencode_cloud.access.service import Access
from opencode_cloud.identity.web import check_same_origin, request_of
from opencode_cloud.kit import http
from opencode_cloud.kit.pages import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.kit.versions import etag, version_of_request
from opencode_cloud.policies.models import Difference, Policy, Revision, Version, Versioned
from opencode_cloud.policies.service import Publisher
from opencode_cloud.workspaces.permissions import Permission

if TYPE_CHECKING:
    from opencode_cloud.kit.actor import Actor

Workspace = Annotated[str, Path(description="Id of the workspace.")]
VersionNumber = Annotated[int, Path(ge=0, le=999_999_999, description="Number of a version.")]
First = Annotated[int, Query(alias="from", ge=0, le=999_999_999, description="The version to compare with.")]
Second = Annotated[int, Query(alias="to", ge=0, le=999_999_999, description="The version that is compared.")]
Comment = Annotated[str, Field(max_length=255, description="Why, for those who read the list of versions.")]


class PolicyRevision(Version):
    """A version of the policy."""

    policy: Policy


class ConfigurationRevision(Version):
    """A version of the configuration document."""

    configuration: dict[str, Any] = Field(description="A configuration of opencode, as in `opencode.json`.")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    comment: Comment = ""


class PolicyChange(_Body):
    """A policy to publish."""

    policy: Policy


class ConfigurationChange(_Body):
    """A configuration document to publish."""

    configuration: dict[str, Any] = Field(
        description="A configuration of opencode, as in `opencode.json`, without secrets: `{env:NAME}` in their place."
    )


class Restoration(_Body):
    """Going back to an older version."""


class Differences(BaseModel):
    """What two versions differ in."""

    changes: list[Difference]


class Compiled(BaseModel):
    """What clients are configured with."""

    config: dict[str, Any] = Field(description="The configuration document with the policy laid over it.")


READ = {Versioned.POLICY: Permission.POLICY_READ, Versioned.CONFIGURATION: Permission.CONFIGURATION_READ}
MANAGE = {Versioned.POLICY: Permission.POLICY_MANAGE, Versioned.CONFIGURATION: Permission.CONFIGURATION_MANAGE}
BASE = "/api/v1/workspaces/<workspace>"


class PolicyRoutes:
    """The routes of both documents."""

    def __init__(self, publisher: Publisher, access: Access) -> None:
        self._publisher = publisher
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        router = APIGatewayHttpRouter()
        self._policy(router)
        self._configuration(router)
        app.include_router(router)

    def _policy(self, router: APIGatewayHttpRouter) -> None:
        base, read, manage = f"{BASE}/policy", _options(Permission.POLICY_READ), _options(Permission.POLICY_MANAGE)
        router.get(base, summary="Get the policy", **read)(self.policy)
        router.put(base, summary="Publish a policy", **manage)(self.publish_policy)
        router.get(f"{base}/versions", summary="List the versions of the policy", **read)(self.policy_versions)
        router.get(f"{base}/versions/<version>", summary="Get a version of the policy", **read)(self.policy_version)
        router.get(f"{base}/differences", summary="Compare versions of the policy", **read)(self.policy_differences)
        router.post(f"{base}/versions/<version>/restore", summary="Go back to a version of the policy", **manage)(
            self.restore_policy
        )

    def _configuration(self, router: APIGatewayHttpRouter) -> None:
        base = f"{BASE}/configuration"
        read, manage = _options(Permission.CONFIGURATION_READ), _options(Permission.CONFIGURATION_MANAGE)
        router.get(base, summary="Get the configuration document", **read)(self.configuration)
        router.put(base, summary="Publish a configuration document", **manage)(self.publish_configuration)
        router.get(f"{base}/versions", summary="List the versions of the configuration document", **read)(
            self.configuration_versions
        )
        router.get(f"{base}/versions/<version>", summary="Get a version of the configuration document", **read)(
            self.configuration_version
        )
        router.get(f"{base}/differences", summary="Compare versions of the configuration document", **read)(
            self.configuration_differences
        )
        router.post(
            f"{base}/versions/<version>/restore", summary="Go back to a version of the configuration document", **manage
        )(self.restore_configuration)
        router.get(f"{base}/compiled", summary="See what clients are configured with", **read)(self.compiled)
        router.post(f"{base}/check", summary="Check a configuration document without publishing it", **manage)(
            self.check
        )

    # ----------------------------------------------------------------------------------------- policy

    def policy(self, workspace: Workspace) -> Response[PolicyRevision]:
        """Get the policy that counts; its `ETag` is what a change must send as `If-Match`.

        Version 0 restricts nothing: none was published yet.
        """
        self._reader(workspace, Versioned.POLICY)
        return _policy_reply(self._publisher.present(Versioned.POLICY, workspace))

    def publish_policy(self, workspace: Workspace, change: PolicyChange) -> Response[PolicyRevision]:
        """Publish a policy as the next version. It is enforced, and clients are told, within seconds."""
        actor = self._manager(workspace, Versioned.POLICY)
        document = change.policy.model_dump(mode="json")
        return _policy_reply(self._publish(actor, Versioned.POLICY, document, change.comment))

    def policy_versions(
        self, workspace: Workspace, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[Version]:
        """List the versions of the policy, the latest first."""
        return self._versions(workspace, Versioned.POLICY, limit, cursor)

    def policy_version(self, workspace: Workspace, version: VersionNumber) -> Response[PolicyRevision]:
        """Get one version of the policy."""
        self._reader(workspace, Versioned.POLICY)
        return _policy_reply(self._publisher.revision(Versioned.POLICY, workspace, version))

    def policy_differences(self, workspace: Workspace, first: First, second: Second) -> Differences:
        """See what one version of the policy has otherwise than another."""
        return self._differences(workspace, Versioned.POLICY, first, second)

    def restore_policy(
        self, workspace: Workspace, version: VersionNumber, restoration: Restoration
    ) -> Response[PolicyRevision]:
        """Publish an older version of the policy anew, as the next version."""
        actor = self._manager(workspace, Versioned.POLICY)
        return _policy_reply(self._restore(actor, Versioned.POLICY, version, restoration.comment))

    # ---------------------------------------------------------------------------------- configuration

    def configuration(self, workspace: Workspace) -> Response[ConfigurationRevision]:
        """Get the configuration document that counts; its `ETag` is what a change must send as `If-Match`.

        Version 0 is empty: none was published yet.
        """
        self._reader(workspace, Versioned.CONFIGURATION)
        return _configuration_reply(self._publisher.present(Versioned.CONFIGURATION, workspace))

    def publish_configuration(
        self, workspace: Workspace, change: ConfigurationChange
    ) -> Response[ConfigurationRevision]:
        """Publish a configuration document as the next version.

        It is held against the client's own schema first: a client does not start with a configuration that it finds
        invalid. What is wrong is named place by place in `errors`. A document is as powerful as code on the members'
        machines: it may name plugins and commands.
        """
        actor = self._manager(workspace, Versioned.CONFIGURATION)
        published = self._publish(actor, Versioned.CONFIGURATION, change.configuration, change.comment)
        return _configuration_reply(published)

    def configuration_versions(
        self, workspace: Workspace, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[Version]:
        """List the versions of the configuration document, the latest first."""
        return self._versions(workspace, Versioned.CONFIGURATION, limit, cursor)

    def configuration_version(self, workspace: Workspace, version: VersionNumber) -> Response[ConfigurationRevision]:
        """Get one version of the configuration document."""
        self._reader(workspace, Versioned.CONFIGURATION)
        return _configuration_reply(self._publisher.revision(Versioned.CONFIGURATION, workspace, version))

    def configuration_differences(self, workspace: Workspace, first: First, second: Second) -> Differences:
        """See what one version of the configuration document has otherwise than another."""
        return self._differences(workspace, Versioned.CONFIGURATION, first, second)

    def restore_configuration(
        self, workspace: Workspace, version: VersionNumber, restoration: Restoration
    ) -> Response[ConfigurationRevision]:
        """Publish an older version of the configuration document anew, as the next version."""
        actor = self._manager(workspace, Versioned.CONFIGURATION)
        return _configuration_reply(self._restore(actor, Versioned.CONFIGURATION, version, restoration.comment))

    def compiled(self, workspace: Workspace) -> Compiled:
        """See what clients are configured with: the document with the policy laid over it."""
        self._reader(workspace, Versioned.CONFIGURATION)
        return Compiled(config=self._publisher.compiled(workspace))

    def check(self, workspace: Workspace, change: ConfigurationChange) -> Compiled:
        """See what clients would be configured with, or what keeps a document from being published."""
        self._manager(workspace, Versioned.CONFIGURATION)
        return Compiled(config=self._publisher.preview(workspace, Versioned.CONFIGURATION, change.configuration))

    # -------------------------------------------------------------------------------------- internals

    def _reader(self, workspace: str, kind: Versioned) -> Actor:
        return self._access.member(request_of(self._event()), workspace, READ[kind])

    def _manager(self, workspace: str, kind: Versioned) -> Actor:
        event = self._event()
        check_same_origin(event)
        return self._access.member(request_of(event), workspace, MANAGE[kind])

    def _publish(self, actor: Actor, kind: Versioned, document: dict[str, Any], comment: str) -> Revision:
        read = version_of_request(self._event())
        return self._publisher.publish(actor, actor.workspace, kind, document, read, comment)

    def _restore(self, actor: Actor, kind: Versioned, version: int, comment: str) -> Revision:
        read = version_of_request(self._event())
        return self._publisher.restore(actor, actor.workspace, kind, version, read, comment)

    def _versions(self, workspace: str, kind: Versioned, limit: int, cursor: str | None) -> Page[Version]:
        self._reader(workspace, kind)
        before = decode_cursor(cursor, tuple[int])
        rows = self._publisher.versions(kind, workspace, before[0] if before else None, limit + 1)
        return page_of(rows, limit, lambda row: (row.version,), lambda row: row)

    def _differences(self, workspace: str, kind: Versioned, first: int, second: int) -> Differences:
        self._reader(workspace, kind)
        return Differences(changes=self._publisher.differences(kind, workspace, first, second))


def _options(permission: Permission) -> dict[str, Any]:
    return {"tags": ["Policies and configuration"], "openapi_extensions": {"x-permission": permission.value}}


def _policy_reply(revision: Revision) -> Response[PolicyRevision]:
    shown = PolicyRevision(**_version(revision), policy=Policy.model_validate(revision.document))
    return Response(HTTPStatus.OK, "application/json", shown, _headers(revision))


def _configuration_reply(revision: Revision) -> Response[ConfigurationRevision]:
    shown = ConfigurationRevision(**_version(revision), configuration=revision.document)
    return Response(HTTPStatus.OK, "application/json", shown, _headers(revision))


def _version(revision: Revision) -> dict[str, Any]:
    return revision.model_dump(include=set(Version.model_fields))


def _headers(revision: Revision) -> dict[str, Any]:
    return {**http.PRIVATE, "ETag": etag(revision.version)}
