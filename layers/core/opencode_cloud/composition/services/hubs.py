"""Builds the posting to hubs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.kit import aws
from opencode_cloud.kit.sealed_posts import Poster, PostSeal
from opencode_cloud.sharing.service.hubs import NO_HUBS, Hubs, post_key

if TYPE_CHECKING:
    from opencode_cloud.composition.settings import HubsSettings
    from opencode_cloud.sharing.store import ShareStore


def seal_of(settings: HubsSettings) -> PostSeal:
    """Return the seal of posts to hubs."""
    return PostSeal(lambda: post_key(aws.secret(settings.hub_secret)))


def hubs_of(settings: HubsSettings, store: ShareStore) -> Hubs:
    """Return the hubs that a function posts to."""
    if not settings.hub_secret:
        return NO_HUBS
    poster = Poster(seal_of(settings))
    return Hubs(store, poster, lambda: aws.secret(settings.hub_secret), relay=settings.hub_url)
