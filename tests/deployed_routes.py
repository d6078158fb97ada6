"""List the routes of all deployed functions as JSON: `python -m tests.deployed_routes`.

It builds each function as its handler does, in this process, whose environment it changes. No service is called.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from functools import wraps
from importlib import import_module
from inspect import unwrap
from typing import Any

from starlette import routing

from opencode_cloud.kit.http_app import HttpApp
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.lambda_handlers import LazyHandler
from opencode_cloud.kit.settings import load
from opencode_cloud.sharing.routes.lazy_api import LazyShareApi
from tests.unit.composition.test_handlers import BESIDE, CLIENTS
from tests.unit.composition.test_settings import environment_of, settings_of

FUNCTIONS = ("share", "identity", "console", "github", "payments", "gateway")
"""The functions that answer HTTP."""


def routes() -> Iterator[tuple[str, str, str]]:
    """Yield function, method and path of each route. Values of a path are named as in the document: ``{share}``."""
    os.environ.update(CLIENTS, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", POWERTOOLS_METRICS_NAMESPACE="none")
    for function in FUNCTIONS:
        made: list[Any] = []
        for kind in (HttpApp, HttpRoutes, LazyHandler, LazyShareApi, routing.Route):
            _record(kind, made)
        settings = settings_of(function)
        values = {**environment_of(settings), **BESIDE, "BILLING": "1", "STRIPE_SECRET": "none"}
        values |= {"OPERATORS": "ada@example.com"} if function == "console" else {}
        import_module(f"opencode_cloud.composition.{function}").build(load(settings, values))
        for each in made:  # The list grows: a lazy handler builds its app now.
            for method, path in _table(each):
                yield function, method, _documented(path)


def _documented(path: str) -> str:
    """Return a path as the document has it: the gateway's routes also name the kind of a value."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path.replace("<", "{").replace(">", "}").replace("_id}", "}"))


def _record(kind: Any, made: list[Any]) -> None:
    """Add each object of ``kind`` to ``made``."""
    start = unwrap(kind.__init__)  # without an earlier function's list

    @wraps(start)
    def recorded(self: Any, *arguments: Any, **named: Any) -> None:
        start(self, *arguments, **named)
        made.append(self)

    kind.__init__ = recorded


def _table(made: Any) -> list[tuple[str, str]]:
    match made:
        case HttpRoutes():
            return made.table()
        case HttpApp():
            found: list[Any] = [*made._static_routes, *made._dynamic_routes]
            return [(str(route.method), str(route.path)) for route in found]
        case LazyHandler():
            made._build()
        case LazyShareApi():
            made._load()
        case _:
            return [(method, made.path) for method in made.methods - {"HEAD", "OPTIONS"}]
    return []


if __name__ == "__main__":
    json.dump(sorted(set(routes())), sys.stdout)
