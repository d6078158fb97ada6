"""Storage of shares: rows in DynamoDB, large bodies in S3. The only package of the feature that knows AWS."""

from opencode_cloud.sharing.store.connections import ConnectionStore
from opencode_cloud.sharing.store.log import Following, Head, LogPage
from opencode_cloud.sharing.store.objects import ObjectStore
from opencode_cloud.sharing.store.shares import ShareStore
from opencode_cloud.sharing.store.tasks import DeliveryTask, PurgeRequest, Tasks

__all__ = [
    "ConnectionStore",
    "DeliveryTask",
    "Following",
    "Head",
    "LogPage",
    "ObjectStore",
    "PurgeRequest",
    "ShareStore",
    "Tasks",
]
