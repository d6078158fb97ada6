"""The installed client's schema of a configuration. `python -m tests.client_schema` writes our copy."""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "layers/core/opencode_cloud/policies/client_schema.json"
ANNOTATIONS = {"description"}


def configuration_schema(openapi: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of `Config` in the client's OpenAPI document, with its references and without annotations."""
    schemas: dict[str, Any] = openapi["components"]["schemas"]
    needed: dict[str, Any] = {}

    def take(node: Any, is_schema: bool = True) -> Any:
        if isinstance(node, list):
            return [take(each) for each in node]
        if not isinstance(node, dict):
            return node
        out: dict[str, Any] = {}
        for key, value in node.items():
            if is_schema and key in ANNOTATIONS:
                continue
            if is_schema and key == "$ref":
                name = value.rpartition("/")[2]
                if name not in needed:
                    needed[name] = None
                    needed[name] = take(schemas[name])
                out[key] = f"#/$defs/{name}"
            else:
                # The keys of `properties` are the client's names, not keywords of JSON Schema.
                out[key] = take(value, is_schema=not (is_schema and key == "properties"))
        return out

    root = take(schemas["Config"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": dict(sorted(needed.items()))}


def encode(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Read an OpenAPI document, `GET /doc` of `opencode serve`, from stdin."""
    COPY.write_text(encode(configuration_schema(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
