"""Facts on which the gateway decides before it forwards a request, collected in one pass over its parts."""

from __future__ import annotations

from typing import Any

from opencode_cloud.gateway.formats.models import Malformed
from opencode_cloud.gateway.formats.reading import Node

# Members that make some upstreams use another model, server or key than the gateway chose.
_STEERING = ("models", "fallbacks", "route", "preset", "plugins", "api_base", "base_url", "api_key", "extra_body")
# Members on which the gateway decides. Servers that ignore case would read another request than the gateway.
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
        self.audio = ""
        """The first part of the prompt that is audio; empty: there is none."""
        self.hears = False
        """True if a part of the prompt can have sound: audio, video, or contents that are not in the body."""
        self.speaks = ""
        """The member by which the client wants sound in the answer; empty: it wants none."""
        self.unbounded = ""
        self.hosted: list[str] = []
        """Tools and outputs of the provider on which the client insists."""
        self.dropped: list[str] = []
        """Offered tools of the provider, which are left out."""
        self.changes: dict[str, Any] = {}
        """Members of the body that change because of them; None removes a member."""
        self.compacts = False
        """True if the provider may sample twice: it compacts the conversation, then answers."""
        self.stored = ""
        self.tier = ""
        """The service tier that the client asks for; empty: it leaves the choice to the upstream."""

    def unknown_size(self, what: str) -> None:
        """Record that ``what`` makes the prompt's size unknowable; the first one is reported."""
        self.unbounded = self.unbounded or what
        self.hears = True

    def stores(self, what: str) -> None:
        """Record that ``what`` names contents that a provider stores; the first one is reported."""
        self.stored = self.stored or what

    def leaves_out(self, what: str) -> None:
        """Record a hint that no upstream gets."""
        if what not in self.dropped:
            self.dropped.append(what)

    def hosts(self, tool: str) -> None:
        """Record a tool that the provider runs, and on which the client insists."""
        if tool not in self.hosted:
            self.hosted.append(tool)

    def file(self, part: str, media_type: str = "") -> None:
        """Record a file, audio or video within the body, by its place. Without a media type it can be anything."""
        self.documents += 1
        kind = media_type.partition("/")[0].lower()
        self.hears = self.hears or kind in ("", "audio", "video")
        if kind == "audio":
            self.audio = self.audio or part

    def wants(self, modality: str, member: str) -> None:
        """Record a modality of the answer, which ``member`` names."""
        if modality == "audio":
            self.speaks = member
        elif modality != "text":
            self.hosts(f"{modality} output")

    def image(self, url: str, path: str) -> None:
        """Record a picture by its URL, which may be a data URL."""
        self.images += 1
        if not url.startswith("data:"):
            self.unknown_size(f"a picture by URL ({path})")


def check_steering(node: Node) -> None:
    """Raise :class:`Malformed` if an upstream could read another model, limit or server from a body than we do."""
    for key in node.members():
        folded = key.casefold()
        if folded in _GOVERNED and key != folded:
            raise Malformed(key, f"must be spelled `{folded}`")
        if key in _STEERING and node.raw(key) is not None:
            raise Malformed(key, "is not accepted: the gateway chooses model, server and credential")
