"""Addresses below the gateway besides model calls: lists of models, and what vendors offer and the gateway does not."""

from __future__ import annotations

from opencode_cloud.catalogue.models import Format
from opencode_cloud.kit.errors import NotFound, route_not_found

LISTS = (
    "/zen/v1/models",
    "/inference/v1/models",
    "/inference/openai/v1/models",
    "/inference/anthropic/v1/models",
)
"""Lists for OpenAI's and Anthropic's clients. One model is below them, by its id."""
GOOGLE_LISTS = ("/zen/v1beta/models", "/inference/google/v1beta/models")
BASES = ("/zen", "/zen/v1", "/zen/v1beta")
"""Base URLs of clients. Some ask for them at each start."""
DEFAULT_FORMAT = Format.CHAT
"""The format of errors at addresses that belong to no format."""

_FORMATS = {
    "/zen/v1beta": Format.GENERATE,
    "/inference/google": Format.GENERATE,
    "/zen/v1/messages": Format.MESSAGES,
    "/inference/anthropic": Format.MESSAGES,
    "/zen/v1/responses": Format.RESPONSES,
}
_STORED = "Responses are not stored here. Send the whole conversation in each request, with `store: false`."
_NOT_OFFERED = {
    "responses": _STORED,
    "conversations": _STORED,
    "completions": "Text completions are not offered here. Call `chat/completions`.",
    "embeddings": "Embeddings are not offered here.",
    "images": "Pictures are not generated here. Models read them in `chat/completions`.",
    "audio": "Speech and transcription are not offered here. Models hear sound in `chat/completions`.",
    "moderations": "Moderation is not offered here.",
    "files": "Files are not stored here. Send a file within the request.",
    "uploads": "Files are not stored here. Send a file within the request.",
    "batches": "Batches are not offered here. Send the requests one by one.",
    "realtime": "Realtime sessions are not offered here. Stream `chat/completions`.",
    "rerank": "Ranking is not offered here.",
    "assistants": "Assistants are not offered here. Call `responses`.",
    "threads": "Threads are not stored here. Send the whole conversation in each request.",
    "vector_stores": "Files are not stored here. Send a file within the request.",
    "fine_tuning": "Training is not offered here.",
    "cachedContents": "Contents are not cached by name here. Send the whole conversation in each request.",
}
"""A sentence for each kind of address of a vendor, by the first part of the path below the base URL."""
_PREFIXES = (
    *("/zen/v1/messages/", "/zen/v1beta/", "/zen/v1/", "/inference/openai/v1/", "/inference/anthropic/v1/messages/"),
    *("/inference/anthropic/v1/", "/inference/google/v1beta/", "/inference/v1/"),
)


def format_at(path: str) -> Format:
    """Return the format of errors at an address."""
    return next((name for prefix, name in _FORMATS.items() if path.startswith(prefix)), DEFAULT_FORMAT)


def not_found_at(path: str) -> NotFound:
    """Return the error of an address without a route; it says what the gateway offers in its place."""
    prefix = next((prefix for prefix in _PREFIXES if path.startswith(prefix)), "")
    kind = path.removeprefix(prefix).partition("/")[0] if prefix else ""
    sentence = _NOT_OFFERED.get(kind)
    return NotFound("not_offered", sentence) if sentence else route_not_found()
