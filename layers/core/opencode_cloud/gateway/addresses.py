"""Addresses below the gateway besides model calls: lists of models, and what vendors offer and the gateway does not."""

from __future__ import annotations

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import EmbeddingMethod
from opencode_cloud.kit.errors import NotFound, route_not_found

LISTS = (
    "/zen/v1/models",
    "/inference/v1/models",
    "/inference/openai/v1/models",
    "/inference/anthropic/v1/models",
)
"""Lists for OpenAI's and Anthropic's clients. One model is below them, by its id."""
GOOGLE_LISTS = ("/zen/v1beta/models", "/inference/google/v1beta/models")
EMBEDDINGS = (
    ("/zen/v1/embeddings", EmbeddingMethod.LIST),
    ("/inference/openai/v1/embeddings", EmbeddingMethod.LIST),
    *(
        (f"{path}/{{model}}:{method.value}", method)
        for path in ("/zen/v1/models", "/zen/v1beta/models", "/inference/google/v1beta/models")
        for method in (EmbeddingMethod.SINGLE, EmbeddingMethod.BATCH)
    ),
)
"""Addresses of embeddings. ``model`` in a path names the model."""
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
_WHOLE = "Send the whole conversation in each request."
_UNSTORED = "Send a file within the request."
_NOT_OFFERED = {
    "responses/compact": ("compaction by the provider", "Ask a model for a summary."),
    "responses": ("stored responses", _WHOLE),
    "conversations": ("stored conversations", _WHOLE),
    "completions": ("text completions", "Call `chat/completions`."),
    "images": ("generated pictures", "Models read pictures in `chat/completions`."),
    "audio": ("speech and transcription", "Models hear sound in `chat/completions`."),
    "moderations": ("moderation", "Call a model in `chat/completions`."),
    "files": ("stored files", _UNSTORED),
    "uploads": ("stored files", _UNSTORED),
    "batches": ("batches", "Send the requests one by one."),
    "realtime": ("realtime sessions", "Stream `chat/completions`."),
    "rerank": ("ranking", "Call a model in `chat/completions`."),
    "assistants": ("assistants", "Call `responses`."),
    "threads": ("stored threads", _WHOLE),
    "vector_stores": ("stored files", _UNSTORED),
    "fine_tuning": ("training", "Call a model of the catalogue."),
    "cachedContents": ("cached contents by name", _WHOLE),
}
"""For each kind of address of a vendor, by the path below the base URL or its first part: what it is, and advice."""
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
    address = path.removeprefix(prefix) if prefix else ""
    found = _NOT_OFFERED.get(address) or _NOT_OFFERED.get(address.partition("/")[0])
    if found is None:
        return route_not_found()
    offer, advice = found
    return NotFound("not_offered", f"The gateway does not offer {offer} at this address. {advice}")


def check_model(name: str) -> None:
    """Raise ``not_offered`` (404) for a name in the path that belongs to a method of Google: no model has a colon."""
    if ":" in name:
        method = name.rpartition(":")[2][:40]
        raise NotFound("not_offered", f"The gateway does not offer `GET` for the method `{method}`. Send a `POST`.")
