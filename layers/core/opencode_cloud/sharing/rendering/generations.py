"""Sessions of other generations of clients, read as messages and parts of present ones.

The first generation put the parts into the message, and facts about it into ``metadata``. The second one publishes all
messages as one item. `web/static/generations.js` has the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from opencode_cloud.sharing.rendering.lenient import JsonObject, decode, mapping, mappings, text


def is_first_generation(item_type: str, raw: bytes) -> bool:
    """Tell whether an item is probably a message with its parts inside, without decoding it."""
    return item_type == "message" and b'"metadata"' in raw and b'"parts"' in raw


def converted(key: str, raw: bytes) -> Iterator[tuple[str, str, JsonObject]]:
    """Read an item as messages and parts: the kind of each, its identity key, and its data."""
    value = mapping(decode(raw))
    if not key.startswith("message/"):
        yield from _second_generation(value)
        return
    name = key.partition("/")[2]
    if not isinstance(value.get("metadata"), dict) or not isinstance(value.get("parts"), list):
        yield "message", key, value
        return
    metadata = mapping(value.get("metadata"))
    yield "message", key, _first_generation_message(value, metadata)
    for index, part in enumerate(mappings(value.get("parts"))):
        yield "part", f"part/{name}/{index:06}", _first_generation_part(part, metadata)


def _first_generation_message(message: JsonObject, metadata: JsonObject) -> JsonObject:
    about = mapping(metadata.get("assistant"))
    found = {"id": message.get("id"), "role": message.get("role"), "time": metadata.get("time")}
    error = {"error": metadata["error"]} if metadata.get("error") else {}
    return {**found, **{name: about[name] for name in _ABOUT if name in about}, **error}


_ABOUT = ("cost", "tokens", "modelID", "providerID", "path")


def _first_generation_part(part: JsonObject, metadata: JsonObject) -> JsonObject:
    if part.get("type") == "file":
        return {**part, "mime": part.get("mediaType")}
    if part.get("type") != "tool-invocation":
        return part
    call = mapping(part.get("toolInvocation"))
    about = mapping(mapping(metadata.get("tool")).get(text(call.get("toolCallId"))))
    status = {"partial-call": "pending", "call": "running", "result": "completed"}.get(
        text(call.get("state")), "unknown"
    )
    state = {
        "status": status,
        "input": call.get("args"),
        "output": call.get("result"),
        "title": about.get("title"),
        "time": about.get("time"),
        "metadata": about,
    }
    return {"type": "tool", "tool": call.get("toolName"), "state": state}


def _second_generation(value: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    for position, message in enumerate(mappings(value.get("messages"))):
        name = text(message.get("id")).replace("/", "-") or f"{position:06}"
        role = text(message.get("type")) or text(message.get("role"))
        yield "message", f"message/{name}", {**message, "role": role}
        for index, part in enumerate(_second_generation_parts(message)):
            yield "part", f"part/{name}/{index:06}", part


def _second_generation_parts(message: JsonObject) -> Iterator[JsonObject]:
    for name in ("text", "summary"):
        if isinstance(message.get(name), str):
            yield {"type": "text", "text": message[name]}
    if isinstance(message.get("command"), str):
        state = {"status": "completed", "input": {"command": message["command"]}, "output": message.get("output")}
        yield {"type": "tool", "tool": "bash", "state": state}
    for part in mappings(message.get("content")):
        if part.get("type") != "tool":
            yield part
            continue
        state = mapping(part.get("state"))
        output = "\n".join(filter(None, (text(content.get("text")) for content in mappings(state.get("content")))))
        error = text(mapping(state.get("error")).get("message"))
        yield {
            "type": "tool",
            "tool": part.get("name"),
            "state": {**state, "title": part.get("title"), "output": output, "error": error},
        }
