"""What must be known of a request before it is forwarded: gathered while its parts are walked through."""

from __future__ import annotations

from opencode_cloud.gateway.formats.models import Malformed
from opencode_cloud.gateway.formats.reading import Node

# Members by which some upstreams take another model, server or key than the gateway chose.
_STEERING = ("models", "fallbacks", "route", "preset", "plugins", "api_base", "base_url", "api_key", "extra_body")
# What the gateway decides by. Some servers read names without regard to case, and would then see another request.
_GOVERNED = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "n",
        "tools",
        "service_tier",
        "speed",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "background",
        *_STEERING,
    }
)


class RequestFacts:
    """Counts and findings, filled by each format's ``inspect``."""

    def __init__(self) -> None:
        self.images = 0
        self.documents = 0
        self.unbounded = ""
        self.hosted: list[str] = []
        self.tier = ""

    def unknown_size(self, what: str) -> None:
        """Note that something makes the prompt's size unknowable; the first one is named."""
        self.unbounded = self.unbounded or what

    def hosts(self, tool: str) -> None:
        """Note a tool that the provider runs."""
        if tool not in self.hosted:
            self.hosted.append(tool)

    def image(self, url: str, path: str) -> None:
        """Note a picture by its URL, which may hold it."""
        self.images += 1
        if not url.startswith("data:"):
            self.unknown_size(f"a picture given by its address ({path})")


def check_steering(node: Node) -> None:
    """Raise :class:`Malformed` if a body could mean another model, limit or server to its upstream than to us."""
    for key in node.members():
        folded = key.casefold()
        if folded in _GOVERNED and key != folded:
            raise Malformed(key, f"must be spelled `{folded}`")
        if key in _STEERING and node.raw(key) is not None:
            raise Malformed(key, "is not accepted: the gateway chooses model, server and credential")
