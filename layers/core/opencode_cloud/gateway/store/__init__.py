"""Connections to upstreams and the keys for them. The only room that knows HTTP clients and AWS."""

from opencode_cloud.gateway.store.health import SharedHealth
from opencode_cloud.gateway.store.provider_secrets import UpstreamKeys
from opencode_cloud.gateway.store.upstreams import Upstreams

__all__ = ["SharedHealth", "UpstreamKeys", "Upstreams"]
