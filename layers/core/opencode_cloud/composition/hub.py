"""The hub: all of sharing in one process, which also holds the sockets, in place of `share`, `live` and `deliver`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Annotated

from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.composition.services.access import access
from opencode_cloud.composition.services.hubs import seal_of
from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.share import ShareSettings, SharingServices, prepare_rare_parts, publishing_of, routes
from opencode_cloud.kit import aws
from opencode_cloud.kit.asgi_events import EventAdapter
from opencode_cloud.kit.lambda_handlers import correlated
from opencode_cloud.kit.own_address import own_address
from opencode_cloud.kit.sealed_posts import Poster
from opencode_cloud.sharing.hub.announcing import Announcing
from opencode_cloud.sharing.hub.application import HubApplication, HubParts
from opencode_cloud.sharing.hub.delivery import HubDelivery
from opencode_cloud.sharing.hub.endpoint import HubEndpoint
from opencode_cloud.sharing.hub.followers import Followers
from opencode_cloud.sharing.hub.group_commits import GroupCommits
from opencode_cloud.sharing.hub.local_sockets import HubSockets
from opencode_cloud.sharing.hub.routes import HotRoutes
from opencode_cloud.sharing.hub.store import HubConnections, HubShareStore
from opencode_cloud.sharing.hub.tasks import HubTasks
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.group_publishing import GroupPublishing
from opencode_cloud.sharing.service.hubs import Hubs
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.service.viewing import MOST_VIEWERS, Replay, Viewing
from opencode_cloud.sharing.store import ObjectStore

if TYPE_CHECKING:
    from opencode_cloud.kit.asgi_middleware import Application

MEGABYTE = 1024 * 1024
LONGEST_BODY = 32 * MEGABYTE
MOST_SOCKETS = 5000
THREADS = 48
"""Calls of AWS's services at one time."""


class HubSettings(ShareSettings):
    """Environment variables of the container."""

    hub_address: Annotated[str, "the URL at which other processes reach this hub; empty: its IP address and port"] = ""
    hub_port: Annotated[int, "the port at which it listens"] = 8080
    hub_sockets: Annotated[int, "the number of sockets that a process holds"] = MOST_SOCKETS
    longest_body: Annotated[int, "the size of the longest request body in bytes"] = LONGEST_BODY
    viewers_per_share: Annotated[int, "the number of sockets of a process that may follow one share"] = MOST_VIEWERS


def build(settings: HubSettings) -> Application:
    """Return the hub as an ASGI application that answers the CDN, functions and other hubs."""
    secret = cache(lambda: aws.secret(settings.origin_secret))
    return HubApplication(lambda: _parts(settings), secret, longest_body=settings.longest_body)


def _parts(settings: HubSettings) -> HubParts:
    prepare_rare_parts()
    address = settings.hub_address or f"http://{own_address()}:{settings.hub_port}"
    threads, followers = ThreadPoolExecutor(THREADS, thread_name_prefix="hub"), Followers()
    objects = ObjectStore(settings.shares_bucket)
    store = HubShareStore(settings.shares_table, objects, followers, address, threads)
    allowed = access(settings)
    gate = ShareAccess(store, allowed)
    delivery = HubDelivery(address, followers, store, gate, threads)
    seal = seal_of(settings)
    hubs = Hubs(store, Poster(seal), lambda: aws.secret(settings.hub_secret), own=delivery)
    store.sign_with(hubs)
    sockets = HubSockets(settings.websocket_endpoint, followers)
    tasks = HubTasks(settings.deliver_function, settings.purge_queue_url)
    fan_out = FanOut(store, sockets, tasks, gate, hubs)
    owning = Owning(store, allowed, fan_out, AuditQueue(settings.audit_queue_url))
    stores = ShareStores(store, objects)
    publishing = publishing_of(GroupPublishing, settings, stores, fan_out, gate, owning)
    store.tell_changes(publishing.forget)
    announcing = Announcing(delivery, publishing.look, gate.audience, fan_out, hubs, tasks, threads)
    commits = GroupCommits(publishing.commit_group, announcing.announce, threads)
    services = SharingServices(allowed, gate, fan_out, tasks, owning, publishing)
    adapter = EventAdapter(
        correlated(routes(settings, stores, services, upload_mb=settings.longest_body // MEGABYTE)),
        threads,
        longest_body=settings.longest_body,
    )
    viewing = Viewing(store, HubConnections(followers), fan_out, tasks, gate, most_viewers=settings.viewers_per_share)
    replay = Replay(store, HubConnections(followers), fan_out, Snapshots(store, objects), gate)
    endpoint = HubEndpoint(
        followers,
        delivery,
        viewing,
        replay,
        commits,
        owning,
        threads,
        origin_secret=lambda: aws.secret(settings.origin_secret).encode(),
        most_sockets=settings.hub_sockets,
        stop=store.keep_rows,
    )
    return HubParts(
        threads=threads,
        adapter=adapter,
        routes=HotRoutes(commits, allowed, owning, threads),
        endpoint=endpoint,
        commits=commits,
        announcing=announcing,
        delivery=delivery,
        sockets=sockets,
        store=store,
        followers=followers,
        hubs=hubs,
        seal=seal,
    )
