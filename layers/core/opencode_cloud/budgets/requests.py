"""Request bodies of clients and the console about settings of usage."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from opencode_cloud.contracts.projects import MOST_HEADERS

LONGEST_DAYS = 365


class UsageSettingsChange(BaseModel):
    """The retention of calls' metadata, and the headers of projects."""

    metadata_days: Annotated[int, Field(ge=0, le=LONGEST_DAYS, description="0: metadata is not kept at all.")]
    project_headers: Annotated[
        list[Annotated[str, Field(max_length=64)]] | None,
        Field(
            max_length=MOST_HEADERS,
            description="Headers in which clients name their project, such as `x-cost-center`; null: no change.",
        ),
    ] = None
