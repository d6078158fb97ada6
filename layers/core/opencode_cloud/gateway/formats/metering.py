"""Reading along while a stream passes through unchanged: usage, the end, errors, and how much was generated.

This is the hot loop of the gateway. Each event is decoded once, into a type that has only the members that matter here;
the decoder skips all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import msgspec

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.models import UpstreamFault
from opencode_cloud.gateway.formats.usage import merge
from opencode_cloud.kit import json_codec

Form = TypeVar("Form")


class StreamMeter(ABC):
    """Base of the meters of all formats."""

    def __init__(self, read_usage: Callable[[object], Tokens | None]) -> None:
        self._read_usage = read_usage
        self.tokens: Tokens | None = None
        """Usage as the upstream last reported it; None: it has not."""
        self.complete = False
        """True once the event that ends the format's streams was read."""
        self.ending = False
        """True once the upstream named the reason of the end. Some servers send nothing after that."""
        self.fault: UpstreamFault | None = None
        self.generated: int = 0
        """UTF-8 bytes of generated text, arguments and reasoning."""
        self.sequence: int = 0
        """The number of the next event, in formats that number events."""

    @abstractmethod
    def read(self, data: bytes) -> bool:
        """Count the data of one event; returns whether it has usage and nothing else.

        Raises :class:`msgspec.DecodeError` for what is not JSON.
        """

    def _count(self, usage: msgspec.Raw) -> bool:
        """Take up a usage object, if it is one; returns whether it is."""
        if len(usage) <= len(b"null"):
            return False
        tokens = self._read_usage(msgspec.json.decode(usage))
        self.tokens = merge(self.tokens, tokens)
        return tokens is not None


def decoder(form: type[Form]) -> Callable[[bytes], Form]:
    """Return a decoder of JSON into ``form``."""
    strict = msgspec.json.Decoder(form)

    def decode(data: bytes) -> Form:
        try:
            return strict.decode(data)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # Slower, and accepts what strict decoders refuse: halves of surrogate pairs.
            return json_codec.decode(data, form)

    return decode
