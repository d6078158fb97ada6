"""The size of generated text, in whatever form an upstream sends it.

The gateway estimates usage by this size where an upstream reports none. So text counts by default, and members that are
not generated are listed.
"""

from __future__ import annotations

from typing import Any, cast

from opencode_cloud.gateway.formats.reading import compact, size

FRAME = frozenset(
    {
        *("id", "call_id", "item_id", "tool_use_id", "index", "object", "type", "role", "status", "phase", "model"),
        *(
            "finish_reason",
            "finishReason",
            "finish_message",
            "finishMessage",
            "stop_reason",
            "stop_sequence",
            "native_finish_reason",
        ),
        *("logprobs", "logprobsResult", "annotations", "citations", "citationMetadata", "safetyRatings"),
        *("groundingMetadata", "urlContextMetadata", "content_filter_results", "extra_content", "usage", "error"),
        *("signature", "thoughtSignature", "thought_signature", "encrypted_content"),
        *("data", "url", "image_url", "b64_json", "mimeType", "mime_type", "media_type", "format"),
    }
)
"""Members that are not generated text: ids, names of kinds, facts about the text, opaque parts and base64."""
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")
"""Members in which servers repeat one thought. The longest counts."""
_JSON = frozenset({"arguments", "input", "args"})
"""Arguments of calls. Some servers send them as an object, of which the model generated names and numbers too."""


def generated_bytes(value: object) -> int:
    """Return the UTF-8 bytes of all generated text in an answer, or in a part of one."""
    if isinstance(value, str):
        return size(value)
    if isinstance(value, dict):
        return _of_members(cast("dict[str, Any]", value))
    return sum(map(generated_bytes, cast("list[object]", value))) if isinstance(value, list) else 0


def _of_members(members: dict[str, Any]) -> int:
    total = max((generated_bytes(members[name]) for name in _THOUGHTS if name in members), default=0)
    for name, value in members.items():
        if name in FRAME or name in _THOUGHTS or value is None:
            continue
        is_text = name not in _JSON or isinstance(value, str)
        total += generated_bytes(value) if is_text else size(compact(value))
    return total
