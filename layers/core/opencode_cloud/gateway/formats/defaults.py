"""Members that most formats share: one answer, usage always expected, the model named in the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.models import ParsedRequest, UpstreamFault
from opencode_cloud.gateway.formats.reading import Node


def one_answer(_node: Node) -> int:
    """Return the number of requested answers, in formats that have only one."""
    return 1


def never_refused(_asked: ParsedRequest, _upstream_model: str) -> bool:
    """Tell that the vendor takes every request in the format, where it has no other."""
    return False


def always_usage(_node: Node) -> bool:
    """Tell whether the client expects usage at the end of a stream, in formats that always send it."""
    return True


def model_override(_asked: ParsedRequest, upstream_model: str) -> dict[str, Any]:
    """Return the members to replace for an upstream of the same format: the model's name."""
    return {"model": upstream_model}


def itself(request: Node) -> Node:
    """Return a request to count, in formats in which it has the members of a model request."""
    return request


def no_count(tokens: int) -> dict[str, Any]:
    """Return a count, in formats without an address for it."""
    return {"tokens": tokens}


def has_list(member: str) -> Callable[[Node], bool]:
    """Return an ``is_answer`` for formats whose answers have a list, which may be empty, as ``member``."""
    return lambda answer: isinstance(answer.raw(member), list)


def error_in(answer: Node) -> UpstreamFault | None:
    """Return the error in place of an answer, in formats in which an answer has none."""
    error: object = answer.raw("error")
    return fault_of(answer.value) if error or answer.raw("type") == "error" else None


def fixed_path(path: str) -> Callable[[str, bool], str]:
    """Return an ``upstream_path`` that is the same for every model, streamed or not."""

    def upstream_path(_model: str, _stream: bool) -> str:
        return path

    return upstream_path
