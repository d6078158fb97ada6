"""Times in models of pydantic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, WithJsonSchema

from opencode_cloud.kit.timestamps import rfc3339, to_utc

Instant = Annotated[
    datetime,
    AfterValidator(to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Type of a model's field with a time."""
