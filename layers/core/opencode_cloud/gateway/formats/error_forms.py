"""Forms of the gateway's errors that several formats share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from opencode_cloud.gateway.formats.final import final_json, final_text, is_final
from opencode_cloud.gateway.formats.models import WireError


def error_object(error: WireError) -> dict[str, Any]:
    """Return the error object for clients of OpenAI's and Anthropic's formats, with the code in both members."""
    return {**error.details, "type": error.code, "message": error.message, "code": error.code}


def common_body(error: WireError) -> bytes:
    """Write the body of an error for clients of OpenAI's and Anthropic's formats."""
    return msgspec.json.encode({"type": "error", "error": error_object(error)})


def with_finality(write: Callable[[WireError], bytes], error: WireError) -> bytes:
    """Write an error with ``write``, so that the client does not retry a final refusal."""
    if not is_final(error.status):
        return write(error)
    return final_json(write(msgspec.structs.replace(error, message=final_text(error.message))))
