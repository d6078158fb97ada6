"""The function `relay`: publishes the outbox, records audit entries of other functions, and runs the daily jobs."""

from __future__ import annotations

from opencode_cloud.audit.deliveries import AuditDeliveries
from opencode_cloud.audit.store import AuditArchive
from opencode_cloud.composition.control_plane import ControlPlane, workspaces
from opencode_cloud.composition.settings import AuditQueueUrl, PurgeQueueUrl, ReleasesUrl
from opencode_cloud.composition.sql_settings import WorkspaceSettings
from opencode_cloud.kit.event_dispatch import Dispatch
from opencode_cloud.kit.housekeeping import Housekeeping
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.newer_release import NewerRelease
from opencode_cloud.kit.outbound_http import OutboundConnections
from opencode_cloud.mail.service.sending import purge as purge_mails
from opencode_cloud.mail.store import MailStore
from opencode_cloud.outbox.deliveries import RelayQueue


class RelaySettings(WorkspaceSettings):
    """Environment variables of the function."""

    audit_queue_url: AuditQueueUrl
    purge_queue_url: PurgeQueueUrl
    releases_url: ReleasesUrl = ""


def build(settings: RelaySettings) -> Handler:
    """Return the handler."""
    plane = ControlPlane(settings)
    dispatch = Dispatch(
        {
            settings.relay_queue_url: RelayQueue(plane.outbox).handle,
            settings.audit_queue_url: AuditDeliveries(AuditArchive(plane.database)).handle,
        },
        _daily(plane, settings).run,
    )
    return frame(lambda event, _context: dispatch.handle(event))


def _daily(plane: ControlPlane, settings: RelaySettings) -> Housekeeping:
    """Return the daily jobs."""
    team = workspaces(plane, settings, purge_queue_url=settings.purge_queue_url)
    return Housekeeping(
        {
            "audit entries": plane.audit_reading.purge,
            "mails": lambda: purge_mails(MailStore(plane.database)),
            "workspaces": team.workspaces.purge_expired,
            "domains": team.domains.verify_again,
            "newer releases": NewerRelease(settings.releases_url, OutboundConnections(private=False)).look,
        }
    )
