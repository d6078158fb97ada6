"""Follow and publish opencode sessions on an Opencode Cloud server.

`follow()` gives an asynchronous iterator over the changes of a share; `Share` creates, fills and removes one.
"""

from .backoff import Backoff
from .counters import Counters
from .errors import (
    ConnectionLost,
    Forbidden,
    InvalidRequest,
    OpencodeCloudError,
    ProtocolError,
    RateLimited,
    RequestRefused,
    ServerFailure,
    ShareGone,
    ShareNotFound,
    TooLarge,
    Unauthorized,
)
from .following import Follower, Timing, Update, follow
from .protocol import Change, Item, Json, NewItem, ShareState
from .publishing import Publisher
from .share import Share

__all__ = [
    "Backoff",
    "Change",
    "ConnectionLost",
    "Counters",
    "Follower",
    "Forbidden",
    "InvalidRequest",
    "Item",
    "Json",
    "NewItem",
    "OpencodeCloudError",
    "ProtocolError",
    "Publisher",
    "RateLimited",
    "RequestRefused",
    "ServerFailure",
    "Share",
    "ShareGone",
    "ShareNotFound",
    "ShareState",
    "Timing",
    "TooLarge",
    "Unauthorized",
    "Update",
    "follow",
]
