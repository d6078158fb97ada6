"""A made-up format in one folder (CONTRIBUTING, "Recipes"): Chat Completions with `talk` for `messages`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, cast

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.chat import CHAT
from opencode_cloud.gateway.formats.defaults import fixed_path
from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.models import ModelRequest
from opencode_cloud.gateway.formats.reading import Node

PROMPT = "talk"


class ToyName(StrEnum):
    """A stand-in for a member of `Format`, because an enum cannot be extended from outside."""

    TOY = "toy"


def as_chat(node: Node) -> Node:
    """Return a document of the toy format as one of Chat Completions."""
    members = dict(node.members())
    return Node({**members, "messages": members.pop(PROMPT, None)})


def inspect(node: Node, facts: RequestFacts) -> None:
    CHAT.inspect(as_chat(node), facts)


def read_request(node: Node) -> ModelRequest:
    return CHAT.read_request(as_chat(node))


def write_request(request: ModelRequest, model: str) -> dict[str, Any]:
    members = CHAT.write_request(request, model)
    return {PROMPT: members.pop("messages"), **members}


TOY = msgspec.structs.replace(
    CHAT,
    name=cast("Format", ToyName.TOY),
    client_paths=("/toy/v1/talk",),
    upstream_path=fixed_path("/talk"),
    prompt_member=PROMPT,
    inspect=inspect,
    read_request=read_request,
    write_request=write_request,
    heartbeat=b": still here\n\n",
)
