"""Google's generateContent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..conversations import of_generate
from ..scripts import Usage
from .wire import SIGNATURE, Json, Reply, Wire, data

STOPS = {"end": "STOP", "calls": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}


def whole(reply: Reply) -> Json:
    """Write the answer in one piece."""
    parts: list[Json] = []
    if reply.think:
        parts.append({"text": reply.thought, "thought": True})
    if reply.words:
        parts.append({"text": reply.text})
    return _chunk(reply, [*parts, *_calls(reply)], last=True)


def events(reply: Reply) -> Iterator[bytes]:
    """Write the answer piece by piece. Each call is in one piece, and each piece has the usage."""
    for word in reply.think:
        yield data(_chunk(reply, [{"text": word, "thought": True}]))
    for word in reply.words:
        yield data(_chunk(reply, [{"text": word}]))
    for call in _calls(reply):
        yield data(_chunk(reply, [call]))
    yield data(_chunk(reply, [{"text": ""}], last=True))


def usage(used: Usage) -> Json:
    """Write the usage."""
    told: Json = {"promptTokenCount": used.prompt, "candidatesTokenCount": used.output - used.reasoning}
    told["totalTokenCount"] = used.prompt + used.output
    if used.cache_read:
        told["cachedContentTokenCount"] = used.cache_read
    if used.reasoning:
        told["thoughtsTokenCount"] = used.reasoning
    if used.audio:
        told["promptTokensDetails"] = _details(used.prompt, used.audio)
    if used.cache_read_audio:
        told["cacheTokensDetails"] = _details(used.cache_read, used.cache_read_audio)
    if used.output_audio:
        told["candidatesTokensDetails"] = _details(used.output - used.reasoning, used.output_audio)
    return told


def _details(tokens: int, audio: int) -> list[Json]:
    counts = {"TEXT": tokens - audio, "AUDIO": audio}
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items() if count]


def error(status: int, message: str) -> Json:
    """Write the error."""
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
    names |= {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": names.get(status, "INTERNAL")}}


def error_event() -> bytes:
    """Break off."""
    return data(error(503, "The model is overloaded"))


def too_long() -> Json:
    """Write the error for a prompt that is too long."""
    count, limit = "The input token count (250000)", "the maximum number of tokens allowed (200000)"
    return error(400, f"{count} exceeds {limit}.")


def _calls(reply: Reply) -> list[Json]:
    parts: list[Json] = [{"functionCall": {"name": call.name, "args": call.arguments}} for call in reply.calls]
    if parts and reply.think:
        parts[0]["thoughtSignature"] = SIGNATURE
    return parts


def _chunk(reply: Reply, parts: list[Json], *, last: bool = False) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if last:
        candidate["finishReason"] = STOPS[reply.stop]
    head = {"candidates": [candidate], "modelVersion": reply.model, "responseId": reply.id}
    if reply.usage is None:
        return head
    prompt = {"promptTokenCount": reply.usage.prompt, "totalTokenCount": reply.usage.prompt}
    return {**head, "usageMetadata": usage(reply.usage) if last else prompt}


PATH = re.compile(r"/models/(?P<model>[^/]+):(?P<method>generateContent|streamGenerateContent)$")
WIRE = Wire("generate", PATH, of_generate, whole, events, error, error_event, too_long)
