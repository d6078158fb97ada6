"""Who may do what with a share: the one place that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.sharing.capability import is_secret_of
from opencode_cloud.sharing.models import Share, State, missing_secret, share_gone, share_not_found, wrong_secret

if TYPE_CHECKING:
    from opencode_cloud.sharing.store import ShareStore


def is_over(share: Share) -> bool:
    """Tell whether a share was removed or has expired."""
    return share.state is State.GONE or (share.expires_at is not None and share.expires_at <= now_seconds())


def readable(store: ShareStore, share_id: str, share: Share | None) -> Share:
    """Return the share if readers may have it.

    Raises :class:`~opencode_cloud.kit.errors.Gone` when it was here and
    :class:`~opencode_cloud.kit.errors.NotFound` when it never was.
    """
    if share is None:
        raise share_gone() if store.tombstone(share_id) else share_not_found()
    if is_over(share):
        raise share_gone()
    return share


def writable(store: ShareStore, share_id: str, share: Share | None, secret: str) -> Share:
    """Return the share if ``secret`` may write it; raises as :func:`readable` does, or for the secret."""
    share = readable(store, share_id, share)
    check_secret(share, secret)
    return share


def check_secret(share: Share, secret: str) -> None:
    """Raise :class:`~opencode_cloud.kit.errors.Unauthorized` without a secret, ``Forbidden`` for a wrong one."""
    if not secret:
        raise missing_secret()
    if not is_secret_of(share, secret):
        raise wrong_secret()
