"""Pictures and files: data URLs, and the kinds that formats name differently."""

from __future__ import annotations

import base64
import re
from contextlib import suppress

from opencode_cloud.gateway.formats.models import FileBlock, ImageBlock, Malformed, TextBlock

_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
"""Types of text that do not say so in their name."""
_PICTURES = (
    (rb"\x89PNG", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
)
"""The first bytes of pictures, and their types."""
_OTHER_NAMES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_PLAIN = str.maketrans("-_", "+/")
_AUDIO_NAMES = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def from_data_url(url: str, path: str) -> tuple[str, str]:
    """Return media type and base64 data of a data URL. Raises :class:`Malformed`."""
    head, comma, data = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise Malformed(path, "must be a data URL with base64 data")
    return head[len("data:") : -len(";base64")].partition(";")[0], data


def type_of_data_url(url: str) -> str:
    """Return the media type in a URL of any kind; empty: it has none."""
    return url.removeprefix("data:").partition(",")[0].partition(";")[0] if url.startswith("data:") else ""


def plain_base64(data: str) -> str:
    """Return base64 in the standard alphabet. Google's SDK writes the URL-safe one, which only Google reads."""
    return data.translate(_PLAIN)


def to_data_url(media_type: str, data: str) -> str:
    """Return a data URL of base64 data."""
    return f"data:{media_type};base64,{data}"


def image_at(url: str, path: str, detail: str = "") -> ImageBlock:
    """Return the picture of a URL of any kind."""
    detail = "" if detail == "auto" else detail
    if not url.startswith("data:"):
        return ImageBlock(url=url, detail=detail)
    media_type, data = from_data_url(url, path)
    return picture_of(media_type, data, detail)


def image_url(image: ImageBlock) -> str:
    """Return the URL of a picture."""
    return image.url or to_data_url(image.media_type, image.data)


def document_at(data: str, name: str, path: str) -> FileBlock | TextBlock:
    """Return the file of a data URL."""
    media_type, payload = from_data_url(data, path)
    return document_of(media_type, payload, name)


def document_of(media_type: str, data: str, name: str = "", cache: str = "") -> FileBlock | TextBlock:
    """Return a file in base64. A file of text is text: not every upstream takes it as a file."""
    if media_type.startswith("text/") or media_type in _TEXTS:
        with suppress(ValueError):
            text = base64.b64decode(data).decode()
            return TextBlock(f"{name}\n{text}" if name else text, cache=cache)
    return FileBlock(media_type=media_type, data=data, name=name, cache=cache)


def picture_of(media_type: str, data: str, detail: str = "", cache: str = "") -> ImageBlock:
    """Return a picture in base64. Its type is what its first bytes say: some upstreams refuse another one."""
    media_type = _OTHER_NAMES.get(media_type, media_type)
    with suppress(ValueError):
        begin = base64.b64decode(data[:24])
        media_type = next((name for start, name in _PICTURES if re.match(start, begin, re.DOTALL)), media_type)
    return ImageBlock(media_type=media_type, data=data, detail=detail, cache=cache)


def sound_of(name: str, data: str, cache: str = "") -> FileBlock:
    """Return sound in base64, whose kind has OpenAI's name: ``wav`` or ``mp3``."""
    return FileBlock(media_type=_AUDIO.get(name, f"audio/{name}"), data=data, cache=cache)


def audio_name(media_type: str) -> str | None:
    """Return OpenAI's name of a kind of sound; None if it is no sound.

    OpenAI takes two kinds. Compatible servers take others by the name of their type.
    """
    kind, _, name = media_type.partition("/")
    return _AUDIO_NAMES.get(media_type, name.removeprefix("x-")) if kind == "audio" else None
