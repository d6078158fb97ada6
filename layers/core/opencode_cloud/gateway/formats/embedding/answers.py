"""Answers with embeddings: metering of a passing one, and conversion."""

from __future__ import annotations

import base64
import sys
from array import array
from typing import Any, cast

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.embedding.requests import embedding_of
from opencode_cloud.gateway.formats.models import (
    EmbeddingMethod,
    EmbeddingRequest,
    Malformed,
    ParsedRequest,
    UpstreamFault,
    UpstreamGarbage,
    WholeAnswer,
)
from opencode_cloud.gateway.formats.reading import Node, ProtoNode
from opencode_cloud.gateway.formats.registry import wire_format
from opencode_cloud.kit import json_codec

Vector = list[float]
_GARBAGE = (ValueError, RecursionError, Malformed)


class _Frame(msgspec.Struct, rename="camel"):
    """The members of an answer besides its vectors, which can have megabytes."""

    data: msgspec.Raw = msgspec.Raw()
    embedding: msgspec.Raw = msgspec.Raw()
    embeddings: msgspec.Raw = msgspec.Raw()
    usage: Any = None
    usage_metadata: Any = None
    error: Any = None

    def vectors(self) -> bool:
        """Tell whether there is a member with vectors."""
        return any((self.data, self.embedding, self.embeddings))


def relay_embedding(parsed: ParsedRequest, source: Format, body: bytes) -> WholeAnswer:
    """Return an upstream's answer for the client that sent the request. Raises :class:`UpstreamGarbage`."""
    wire = wire_format(source)
    try:
        frame = msgspec.json.decode(body, type=_Frame)
        if frame.error or not frame.vectors():
            fault = wire.error_in(Node(json_codec.decode(body, object)))
            raise UpstreamGarbage(_reason(fault), fault)
        usage = frame.usage_metadata if source is Format.GENERATE else frame.usage
        tokens = wire.read_usage(usage)
        same = parsed.format is source
        converted = _as_asked(parsed, frame, body) if same else _converted(parsed, source, body, tokens)
    except _GARBAGE as error:
        raise UpstreamGarbage(str(error)) from error
    return WholeAnswer(body=converted, tokens=tokens, generated=0)


def _reason(fault: UpstreamFault | None) -> str:
    return (fault.message if fault else "") or "An answer without embeddings."


class _Entry(msgspec.Struct):
    """One vector of OpenAI's list."""

    embedding: msgspec.Raw = msgspec.Raw()

    def has_numbers(self) -> bool:
        """Tell whether the vector is a list, and no Base64."""
        return bytes(memoryview(self.embedding)[:1]) == b"["


def _as_asked(parsed: ParsedRequest, frame: _Frame, body: bytes) -> bytes:
    """Return an answer in the client's own form, with Base64 if the client asked for it.

    Some servers send numbers, whatever was asked. Clients that ask for Base64 cannot all read them: OpenAI's for .NET
    cannot.
    """
    if not embedding_of(parsed).base64 or not frame.data:
        return body
    entries = msgspec.json.decode(frame.data, type=list[_Entry])
    if not any(entry.has_numbers() for entry in entries):
        return body
    document = json_codec.decode(body, dict[str, Any])
    data = [_packed(Node(entry, f"data[{position}]")) for position, entry in enumerate(document["data"])]
    return msgspec.json.encode({**document, "data": data})


def _packed(entry: Node) -> dict[str, Any]:
    vector = entry.at("embedding")
    return {
        **entry.members(),
        "embedding": vector.value if isinstance(vector.value, str) else base64_of(_numbers(vector)),
    }


def _converted(parsed: ParsedRequest, source: Format, body: bytes, tokens: Tokens | None) -> bytes:
    asked = embedding_of(parsed)
    document: object = json_codec.decode(body, object)
    vectors = _read_list(Node(document)) if source is Format.CHAT else _read_contents(ProtoNode(document))
    if len(vectors) != asked.inputs:
        raise Malformed("the answer", f"has {len(vectors)} embeddings for {asked.inputs} inputs")
    prompt = tokens.prompt if tokens else 0
    if parsed.format is Format.CHAT:
        return msgspec.json.encode(_write_list(asked, vectors, parsed.model, prompt))
    return msgspec.json.encode(_write_contents(asked, vectors, prompt))


def _read_list(answer: Node) -> list[Vector]:
    entries = sorted(answer.each("data"), key=lambda entry: entry.integer("index") or 0)
    return [_numbers(entry.at("embedding")) for entry in entries]


def _read_contents(answer: ProtoNode) -> list[Vector]:
    single = answer.at("embedding")
    entries = [single] if single.present() else list(answer.each("embeddings"))
    return [_numbers(entry.at("values")) for entry in entries]


def _numbers(node: Node) -> Vector:
    values: object = node.value
    if isinstance(values, str):  # some servers send Base64, whatever was asked
        return floats_of(values)
    if not isinstance(values, list) or not all(isinstance(each, (int, float)) for each in cast("list[object]", values)):
        raise node.wrong("must be a list of numbers")
    return cast("Vector", values)


def floats_of(text: str) -> Vector:
    """Return the vector in Base64 of 32-bit floats, little-endian. Raises ValueError."""
    return list(_little_endian(array("f", base64.b64decode(text, validate=True))))


def base64_of(vector: Vector) -> str:
    """Return a vector as Base64 of 32-bit floats, little-endian, as OpenAI sends it."""
    return base64.b64encode(_little_endian(array("f", vector)).tobytes()).decode()


def _little_endian(values: array[float]) -> array[float]:
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _write_list(asked: EmbeddingRequest, vectors: list[Vector], model: str, prompt: int) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": base64_of(vector) if asked.base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": prompt, "total_tokens": prompt}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _write_contents(asked: EmbeddingRequest, vectors: list[Vector], prompt: int) -> dict[str, Any]:
    entries = [{"values": vector} for vector in vectors]
    embedded = {"embedding": entries[0]} if asked.method is EmbeddingMethod.SINGLE else {"embeddings": entries}
    return {**embedded, "usageMetadata": {"promptTokenCount": prompt, "totalTokenCount": prompt}}
