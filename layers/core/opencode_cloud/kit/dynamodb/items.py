"""Rows in DynamoDB's own form: each attribute is named by its type (``{"S": "text"}``, ``{"N": "1"}``)."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]
