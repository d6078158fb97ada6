"""Writes docs/openapi.json from the apps that the functions are: `make openapi`."""

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from local.problems import problems
from opencode_cloud.http import openapi
from opencode_cloud.http.api import api_app
from opencode_cloud.sharing.routes.api import ShareApi

DOCUMENT = Path("docs") / "openapi.json"
ENVIRONMENT: Mapping[str, str] = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "POWERTOOLS_METRICS_NAMESPACE": "none",
    "ACCESS_TABLE": "none",
    "SESSIONS_TABLE": "none",
    "DATABASE_HOST": "none",
    "DATABASE_PORT": "1",
    "DATABASE_NAME": "none",
    "DATABASE_USER": "none",
    "DATABASE_AUTH": "password",
    "DATABASE_PASSWORD": "none",
    "RELAY_QUEUE_URL": "none",
    "AUDIT_QUEUE_URL": "none",
    "BUDGETS_TABLE": "none",
    "MAIL_QUEUE_URL": "none",
    "SIGNING_KEYS": "none",
    "CREDENTIALS_KEY": "none",
    "DEPLOYMENT_KEY_SECRET": "none",
    "LOGIN_METHODS": "{}",
    "LOGIN_SECRETS": "none",
    "PUBLIC_URL": "https://cloud.example.com",
    "SITE_BUCKET": "none",
}
"""What functions read as they start. Nothing of it is used: routes are looked at, none is called."""

WORKSPACE = f"{openapi.PREFIX}workspaces/{{workspace}}"
VERSIONED = frozenset(
    f"{method} {WORKSPACE}{part}"
    for method, part in (
        ("PATCH", ""),
        ("DELETE", ""),
        ("PUT", "/policy"),
        ("PUT", "/configuration"),
        ("PATCH", "/budgets/{budget}"),
    )
)
"""What is changed only by naming the version that was read."""


def build(root: Path) -> dict[str, Any]:
    """Return the document, from the sources of the checkout `root`; changes this process's environment."""
    os.environ.update(ENVIRONMENT)
    schemas = [_schema(app) for app in (_app(root / "functions" / "console" / "handler.py"), _shares())]
    return openapi.document(schemas, problems(root / "layers" / "core" / "opencode_cloud"), VERSIONED)


def write(root: Path) -> None:
    """Write the document of the checkout `root`."""
    (root / DOCUMENT).write_text(text(build(root)))


def text(document: Mapping[str, Any]) -> str:
    """Return the document as it is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _schema(app: APIGatewayHttpResolver) -> dict[str, Any]:
    return json.loads(app.get_openapi_json_schema(title="x", openapi_version="3.1.0"))


def _app(handler: Path) -> APIGatewayHttpResolver:
    spec = importlib.util.spec_from_file_location("handler", handler)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(handler)
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def _shares() -> APIGatewayHttpResolver:
    """Return the part of the API that the function `share` loads at the first request that needs it."""
    app = api_app()
    nothing: Any = None
    ShareApi(nothing, nothing, nothing, public_url="").mount(app)
    return app
