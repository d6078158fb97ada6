"""Rules of the gateway, free of AWS and HTTP."""

from opencode_cloud.gateway.service.calls import Calls, Sink
from opencode_cloud.gateway.service.health import Health

__all__ = ["Calls", "Health", "Sink"]
