"""The query parameters that requests about usage share: the period and the filters."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AwareDatetime, BaseModel, Field

from opencode_cloud.contracts.projects import LONGEST_PROJECT
from opencode_cloud.contracts.usage import Outcome
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.timestamps import to_utc
from opencode_cloud.usage.models import Dimension, Selection, invalid_period


class UsageQuery(BaseModel):
    """A selection of calls. An omitted filter selects all calls."""

    since: AwareDatetime | None = Field(
        default=None, alias="from", description="The earliest time (RFC 3339); default: the first of this month, UTC."
    )
    until: AwareDatetime | None = Field(
        default=None, alias="to", description="The time before which (RFC 3339); default: now."
    )
    model: str | None = Field(
        default=None, max_length=128, description="Only calls of this model, by its id in the catalogue."
    )
    member: str | None = Field(default=None, max_length=30, description="Only calls of this member, by id.")
    group: str | None = Field(
        default=None,
        max_length=30,
        description="Only calls of the present members of this group, by id, also calls from before they joined it.",
    )
    service_account: str | None = Field(
        default=None, max_length=30, description="Only calls of this service account, by id."
    )
    caller: str | None = Field(
        default=None, max_length=30, description="Only calls of this member or service account, by id."
    )
    key: str | None = Field(default=None, max_length=30, description="Only calls with this key, by id.")
    project: str | None = Field(
        default=None,
        max_length=LONGEST_PROJECT,
        description="Only calls of this project. Empty: only calls without a project.",
    )
    agent: str | None = Field(
        default=None, max_length=32, description="Only calls of this program, such as `opencode` or `claude-code`."
    )
    session: str | None = Field(
        default=None, max_length=64, description="Only calls of this session, by its name in events."
    )
    upstream: str | None = Field(default=None, max_length=64, description="Only calls that this upstream answered.")
    outcome: Outcome | None = Field(
        default=None, description=f"Only calls with this outcome: {', '.join(f'`{each.value}`' for each in Outcome)}."
    )
    byok: bool | None = Field(
        default=None, description="`true`: only calls with the workspace's own credential; `false`: only the others."
    )

    def selection(self) -> Selection:
        """Return the selected calls; raises ``invalid_period`` for times beyond the calendar."""
        now = utc_now()
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        only = {
            dimension: str(value) for dimension in Dimension if (value := getattr(self, dimension.value)) is not None
        }
        try:
            since = to_utc(self.since) if self.since else month
            until = to_utc(self.until) if self.until else now
        except ValueError as error:
            raise invalid_period() from error
        return Selection(since=since, until=until, only=only, byok=self.byok, member_group=self.group or "")


Filters = Annotated[UsageQuery, Query()]
"""Annotation of the parameter of a route that takes a period and filters.

Errors name the parameter in ``field``, as in ``query.asked.from``, so its name is part of the API.
"""
