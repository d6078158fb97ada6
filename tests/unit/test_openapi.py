"""The committed document of the API equals the deployed apps, and has the facts that clients and tests need."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis

from local.examples import NoExample, add_examples
from opencode_cloud.contracts.access import login_required
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http import documents
from opencode_cloud.http.openapi import METHODS, OTHER_NEEDS, PROBLEMS, Undocumented, document, extend

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "openapi.json"
KNOWN: dict[str, Any] = json.loads(COMMITTED.read_text())


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in KNOWN["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def test_the_committed_document_is_up_to_date() -> None:
    # In a separate process, because functions read their environment when they are imported.
    program = "from pathlib import Path; from local.openapi import build, text; print(text(build(Path())), end='')"
    made = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout == COMMITTED.read_text(), "run `make openapi` and commit docs/openapi.json"


def test_it_is_openapi_3_1_that_tools_can_read() -> None:
    assert KNOWN["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(KNOWN).validate()
    for model in KNOWN["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(model)


@pytest.mark.parametrize(("name", "operation"), [pytest.param(*each, id=each[0]) for each in operations()])
def test_every_operation_says_what_it_is_and_what_it_needs(name: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert len(operation["tags"]) == 1
    assert operation["x-permission"] in {*Permission, *OTHER_NEEDS}
    assert (operation["security"] == []) == (operation["x-permission"] in ("none", "secret"))
    assert all(each in KNOWN["components"]["securitySchemes"] for way in operation["security"] for each in way)
    assert "429" in operation["responses"]
    in_api = " /api/v1/" in name
    if in_api:
        assert ("401" in operation["responses"]) == (operation["x-permission"] != "none")
    for status, answer in operation["responses"].items():
        if int(status) >= 400:
            said = KNOWN["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            media = "application/problem+json" if in_api else "application/json"
            assert list(said["content"]) == [media], (name, status)
    named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
    assert named == set(re.findall(r"{(\w+)}", name))


def test_operations_have_ids_of_their_own_that_clients_can_call() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{3,39}", each) for each in ids)
    assert "create_key" in ids


def test_no_two_models_have_one_title_and_no_name_tells_a_module() -> None:
    models = KNOWN["components"]["schemas"]
    titles = [model["title"] for model in models.values() if "title" in model]
    assert len(set(titles)) == len(titles)
    assert not any("__" in name for name in models)


def test_every_tag_is_described() -> None:
    assert all(tag["description"] for tag in KNOWN["tags"])


def test_no_answer_of_the_frameworks_own_is_documented() -> None:
    assert not re.search(r"HTTPValidationError|ResponseValidationError", COMMITTED.read_text())


def test_every_code_has_a_status_and_a_sentence() -> None:
    codes = KNOWN[PROBLEMS]
    assert codes[login_required().code]["status"] == 401
    assert codes["rate_limited"]["status"] == 429
    assert all(said["status"] >= 400 and re.fullmatch(r"[a-z0-9_]+", code) for code, said in codes.items())


def test_an_operation_without_a_permission_does_not_get_into_the_document() -> None:
    schema = {"paths": {"/api/v1/x": {"get": {"summary": "X", "tags": ["X"], "responses": {}}}}}
    with pytest.raises(Undocumented, match="GET /api/v1/x has no x-permission"):
        document([schema], {})


def test_two_models_of_one_name_do_not_get_into_the_document() -> None:
    schemas = [{"paths": {}, "components": {"schemas": {"Thing": {"type": kind}}}} for kind in ("object", "string")]
    with pytest.raises(Undocumented, match="Thing means two things"):
        document(schemas, {})


def other_planes(paths: dict[str, Any]) -> dict[str, Any]:
    known = document([{"paths": {}}], {})
    extend(known, paths, {"Thing": {"type": "object"}}, {})
    return known


def test_routes_beside_the_api_are_added_with_their_tags() -> None:
    operation = {"summary": "Share it", "tags": ["Publishing"], "x-permission": "none", "responses": {}}
    known = other_planes({"/share": {"post": operation}})
    assert known["paths"]["/share"]["post"]["operationId"] == "share_it"
    assert [tag["name"] for tag in known["tags"]] == ["Publishing"]
    assert "Thing" in known["components"]["schemas"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"summary": ""}, "GET /x has no summary"),
        ({"x-permission": ""}, "GET /x has no x-permission"),
        ({"tags": ["Unknown"]}, "the tag Unknown has no description"),
    ],
)
def test_a_route_beside_the_api_needs_the_same_declarations(change: dict[str, Any], words: str) -> None:
    operation = {"summary": "X", "tags": ["Publishing"], "x-permission": "none", "responses": {}, **change}
    with pytest.raises(Undocumented, match=words):
        other_planes({"/x": {"get": operation}})


def test_two_operations_of_all_planes_never_have_one_name() -> None:
    operation = {"summary": "X", "tags": ["Publishing"], "x-permission": "none", "responses": {}}
    with pytest.raises(Undocumented, match="GET /y has the summary of another operation"):
        other_planes({"/x": {"get": operation}, "/y": {"get": dict(operation)}})


def test_a_versioned_operation_that_does_not_exist_does_not_get_into_the_document() -> None:
    with pytest.raises(Undocumented, match="no operation has the name PUT /api/v1/x"):
        document([{"paths": {}}], {}, {"PUT /api/v1/x"})


def test_the_reference_page_shows_every_operation_and_model_without_an_inline_script() -> None:
    page = documents.reference_page()
    for name, operation in operations():
        assert f"<code>{name}</code>" in page
        assert operation["x-permission"] in page
        assert operation["description"]
    targets, links = set(re.findall(r'id="([^"]+)"', page)), set(re.findall(r'href="#([^"]+)"', page))
    assert links <= targets
    assert not re.search(r"<script(?!(?: type=\"module\")? src=\"/assets/)|<style|\sstyle=|\son\w+=", page)


def test_the_reference_page_lists_values_of_enumerations_only() -> None:
    page = documents.reference_page()
    enumerations = [model for model in KNOWN["components"]["schemas"].values() if model.get("enum")]
    assert page.count("<p>One of <code>") == page.count("<p>One of ") == len(enumerations)


def test_the_page_of_problems_has_an_anchor_for_every_code() -> None:
    page = documents.problems_page()
    assert all(f'id="{code}"' in page for code in KNOWN[PROBLEMS])


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each JSON body and each successful JSON answer, by operation."""
    for name, operation in operations():
        answers = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        for part, holder in {"body": operation.get("requestBody", {}), **answers}.items():
            if content := holder.get("content", {}).get("application/json"):
                yield f"{name} {part}", content


@pytest.mark.parametrize(("name", "content"), [pytest.param(*each, id=each[0]) for each in bodies()])
def test_every_body_and_answer_has_an_example_that_fits(name: str, content: dict[str, Any]) -> None:
    if name.endswith("/audit/export 200"):
        return  # a file in JSON lines
    schema = {**content["schema"], "components": KNOWN["components"]}
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in checker.iter_errors(content["example"])] == []


def test_answers_without_a_body_and_files_are_not_documented_as_json() -> None:
    for name, operation in operations():
        for status, answer in operation["responses"].items():
            if status == "204":
                assert "content" not in answer, name
            if status == "200" and name.endswith(".csv"):
                assert list(answer["content"]) == ["text/csv"], name
            if status == "200" and name.endswith(".pdf"):
                assert list(answer["content"]) == ["application/pdf"], name


def test_a_text_without_an_example_does_not_get_into_the_document() -> None:
    thing = {"type": "object", "properties": {"colour": {"type": "string"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    made = {
        "paths": {"/x": {"get": {"responses": {"200": {"content": content}}}}},
        "components": {"schemas": {"Thing": thing}},
    }
    with pytest.raises(NoExample, match=r"Thing\.colour"):
        add_examples(made)
