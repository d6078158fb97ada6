"""The list of wire formats. Everything else looks a format up here; nothing else branches on its name."""

from __future__ import annotations

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.chat import CHAT
from opencode_cloud.gateway.formats.generate import GENERATE
from opencode_cloud.gateway.formats.messages import MESSAGES
from opencode_cloud.gateway.formats.responses import RESPONSES
from opencode_cloud.gateway.formats.wire import WireFormat

WIRE_FORMATS: dict[Format, WireFormat] = {wire.name: wire for wire in (CHAT, MESSAGES, RESPONSES, GENERATE)}
"""Each format's object by its name."""


def wire_format(name: Format) -> WireFormat:
    """Return a format's object."""
    return WIRE_FORMATS[name]
