"""Operators' commands for the catalogue, a part of ``functions/operate``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.kit.timestamps import rfc3339

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import CatalogueRevision
    from opencode_cloud.catalogue.service.publishing import CataloguePublisher
    from opencode_cloud.contracts.actor import Actor


class CatalogueCommand(msgspec.Struct, tag="catalogue"):
    """Show, check, compare, publish, list, restore or export versions of the catalogue."""

    action: Literal["show", "check", "diff", "publish", "versions", "restore", "export"]
    document: str = ""
    """The JSON text to check, compare or publish."""
    version: int | None = None
    """The version to restore or export; for ``publish``, the version that the shown differences refer to."""
    comment: Annotated[str, msgspec.Meta(max_length=255)] = ""


def execute_catalogue_command(command: CatalogueCommand, publisher: CataloguePublisher, actor: Actor) -> Any:
    """Execute a command; return its result for the operator.

    Raises ``invalid_command`` (400), and the errors of the publisher.
    """
    match command.action:
        case "show":
            return _summary(publisher.current())
        case "versions":
            return [_head(revision) for revision in publisher.versions()]
        case "export":
            chosen = publisher.current() if command.version is None else publisher.revision(command.version)
            return json.loads(chosen.document)
        case "check" | "diff":
            version, changes = publisher.check(command.document)
            return {"valid": True} if command.action == "check" else {"version": version, "changes": changes}
        case "publish":
            read = publisher.current().number if command.version is None else command.version
            revision, changes = publisher.publish(actor, command.document, read, command.comment)
        case "restore":
            if command.version is None:
                raise BadRequest("invalid_command", "Name the version to restore.")
            revision, changes = publisher.restore(actor, command.version)
    return {**_head(revision), "changes": changes}


def _head(revision: CatalogueRevision) -> dict[str, Any]:
    at = revision.created_at
    return {
        "version": revision.number,
        "comment": revision.comment,
        "created_by": revision.created_by,
        "created_at": rfc3339(at) if at else None,
    }


def _summary(revision: CatalogueRevision) -> dict[str, Any]:
    document = json.loads(revision.document)
    routes = {
        name: [f"{route['upstream']}:{route['model']}" for route in model["routes"]]
        for name, model in document.get("models", {}).items()
    }
    return {**_head(revision), "upstreams": sorted(document.get("upstreams", {})), "models": routes}
