"""Images to attach to prompts."""

import base64
import random
import struct
import zlib
from typing import Any


def image_part(size: int, filename: str) -> dict[str, Any]:
    """Return a file part of a prompt: a PNG of about `size` bytes, inline as clients send it."""
    url = f"data:image/png;base64,{base64.b64encode(noise_png(size)).decode()}"
    return {"type": "file", "mime": "image/png", "filename": filename, "url": url}


def noise_png(size: int) -> bytes:
    """Return a valid PNG of about `size` bytes: gray noise, which does not compress."""
    width = 800
    noise = random.Random(size)
    rows = b"".join(b"\0" + noise.randbytes(width) for _ in range(size // width))

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, size // width, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
