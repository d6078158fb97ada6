"""The base of models that are read from rows and shown by the API."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ApiModel(BaseModel):
    """A row as rules see it and the API shows it; columns without a field are left out."""

    model_config = ConfigDict(frozen=True, from_attributes=True)
