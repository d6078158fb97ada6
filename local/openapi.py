"""Write docs/openapi.json from the functions' apps: `make openapi`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from local.examples import add_examples
from local.planes.gateway import gateway
from local.planes.logins import logins
from local.planes.publishing import publishing
from local.planes.reading import reading
from local.problems import problems
from opencode_cloud.http import openapi
from opencode_cloud.http.api import api_app
from opencode_cloud.http.gate import Gate
from opencode_cloud.kit.settings import load, variables
from opencode_cloud.payments.routes import AutoReloadRoutes, InvoiceRoutes, PlanRoutes, RefundRoutes, TopUpRoutes
from opencode_cloud.sharing.routes.api import ShareApi

DOCUMENT = Path("docs") / "openapi.json"
CLIENTS: Mapping[str, str] = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "POWERTOOLS_METRICS_NAMESPACE": "none",
}
"""Environment of the AWS clients that an app creates. No client is called, because only the routes are read."""

SETTINGS: Mapping[str, str] = {"DATABASE_AUTH": "password", "DATABASE_PORT": "1", "LOGIN_METHODS": "{}"}
"""Settings of the console with a required form. The others can have any text."""

WORKSPACE = f"{openapi.PREFIX}workspaces/{{workspace}}"
VERSIONED = frozenset(
    f"{method} {WORKSPACE}{part}"
    for method, part in (
        ("PATCH", ""),
        ("DELETE", ""),
        ("PUT", "/policy"),
        ("PUT", "/configuration"),
        ("POST", "/policy/versions/{version}/restore"),
        ("POST", "/configuration/versions/{version}/restore"),
        ("PATCH", "/budgets/{budget}"),
        ("PATCH", "/groups/{group}"),
        ("DELETE", "/groups/{group}"),
    )
)
"""Operations that require `If-Match`."""
CONDITIONAL = frozenset(
    f"{method} {WORKSPACE}{part}"
    for part in ("/keys/{key}", "/members/{member}", "/domains/{domain}")
    for method in ("PATCH", "DELETE")
)
"""Operations that heed `If-Match`, and do not require it."""


def build(root: Path) -> dict[str, Any]:
    """Return the document, from the sources of the checkout `root`; changes this process's environment."""
    os.environ.update(CLIENTS)
    schemas = [_schema(app) for app in (_console(), _shares(), _payments())]
    document = openapi.document(schemas, problems(root / "layers" / "core" / "opencode_cloud"), VERSIONED, CONDITIONAL)
    for plane in (publishing(), reading(), logins(), gateway()):
        openapi.extend(document, plane.paths, plane.models, plane.responses)
    add_examples(document)
    return document


def write(root: Path) -> None:
    """Write the document of the checkout `root`."""
    (root / DOCUMENT).write_text(text(build(root)))


def text(document: Mapping[str, Any]) -> str:
    """Return the committed document."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _schema(app: APIGatewayHttpResolver) -> dict[str, Any]:
    return json.loads(app.get_openapi_json_schema(title="x", openapi_version="3.1.0"))


def _console() -> APIGatewayHttpResolver:
    # Import here only, because `make dev` does not need it.
    from opencode_cloud.composition.console import ConsoleApps, ConsoleSettings

    names = [variable.name for variable in variables(ConsoleSettings).values() if variable.type is str]
    return ConsoleApps(load(ConsoleSettings, {**dict.fromkeys(names, "none"), "SIGNING_KEYS": "none", **SETTINGS})).api


def _shares() -> APIGatewayHttpResolver:
    """Return the part of the API that the function `share` loads at the first request that needs it."""
    app = api_app()
    nothing: Any = None
    ShareApi(nothing, nothing, nothing, nothing, public_url="").mount(app)
    return app


def _payments() -> APIGatewayHttpResolver:
    """Return the part of the API that the function `payments` serves."""
    app = api_app()
    nothing: Any = None
    payments = Gate(app, nothing)
    TopUpRoutes(nothing, payments, public_url="").mount()
    AutoReloadRoutes(nothing, payments, public_url="").mount()
    InvoiceRoutes(nothing, payments).mount()
    RefundRoutes(nothing, payments).mount()
    PlanRoutes(nothing, payments, public_url="").mount()
    return app
