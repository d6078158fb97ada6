"""The catalogue on the deployed stage: published by operators, read by the planes, listed by clients."""

from __future__ import annotations

import copy
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.deployment import CREDENTIALS, REGION
from local.stack import LocalStack
from opencode_cloud.catalogue.service import reading
from opencode_cloud.catalogue.service.reading import CatalogueReader
from opencode_cloud.catalogue.store.current import AsyncCatalogueStore
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.policies.validation import form_faults
from tests.integration.people import People, Person
from tests.integration.test_operators import Command
from tests.upstreams.world import PROVIDER, World
from tests.waiting import PATIENCE, until, until_awaited

pytestmark = pytest.mark.xdist_group("gateway")

Json = dict[str, Any]


@dataclass
class Shelf:
    """The catalogue of the stage: the scripted models, and the additions of a test."""

    world: World
    command: Command
    folder: Path

    def document(self, **models: Json) -> Json:
        written = self.world.catalogue()
        written["models"] |= models
        return written

    def file(self, written: Json) -> str:
        path = self.folder / f"{secrets.token_hex(4)}.json"
        path.write_text(json.dumps(written))
        return str(path)

    def publish(self, **models: Json) -> int:
        return self.command("catalogue", "publish", self.file(self.document(**models)))["version"]

    def model(self, name: str, **changes: Any) -> Json:
        like = copy.deepcopy(self.world.catalogue()["models"]["scripted-chat"])
        return {**like, "aliases": [], "name": name, **changes}


@pytest.fixture(scope="module")
def shelf(stack: LocalStack, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    made = Shelf(world, Command(stack), tmp_path_factory.mktemp("catalogue"))
    yield made
    made.publish()


@dataclass
class Shop:
    """A workspace with an owner and a key for model calls."""

    people: People
    owner: Person
    workspace: str

    @property
    def base(self) -> str:
        return f"/api/v1/workspaces/{self.workspace}"

    def permit(self, **rules: Any) -> None:
        version = self.owner.http.get(f"{self.base}/policy").headers["etag"]
        body = {"policy": {"models": rules}}
        assert self.owner.http.put(f"{self.base}/policy", json=body, headers={"If-Match": version}).is_success

    def models(self, http: httpx.Client | None = None) -> list[str]:
        return [each["id"] for each in (http or self.owner.http).get(f"{self.base}/models").json()["data"]]

    def configured(self) -> list[str]:
        """Return the models of the published configuration; none until there is one."""
        provider = self.config().json().get("config", {}).get("provider", {})
        return sorted(provider.get(PROVIDER, {}).get("models", {}))

    def config(self, **headers: str) -> httpx.Response:
        return self.owner.http.get("/api/config", headers={"x-org-id": self.workspace, **headers})


@pytest.fixture
def shop(stack: LocalStack, shelf: Shelf) -> Shop:
    """A new workspace, once every function has read the catalogue that the test before this one left behind."""
    people = People(stack)
    owner = people.somebody()
    shop = Shop(people, owner, owner.found())
    models = sorted(shelf.document()["models"])
    until(lambda: shop.models() == models)
    until(lambda: shop.configured() == models)
    until(lambda: sorted(httpx.get(f"{stack.url}/api.json", timeout=PATIENCE).json()[PROVIDER]["models"]) == models)
    return shop


# --------------------------------------------------------------------------------------------- operators


def test_operators_check_compare_publish_and_go_back(shelf: Shelf, shop: Shop) -> None:
    command, name = shelf.command, f"m-{secrets.token_hex(4)}"
    before = command("catalogue", "show")["version"]
    file = shelf.file(shelf.document(**{name: shelf.model("First")}))
    assert command("catalogue", "check", file) == {"valid": True}
    shown = command("catalogue", "diff", file)
    assert (shown["version"], [line.split(":")[0] for line in shown["changes"]]) == (before, [f"models/{name} is new"])
    assert command("catalogue", "show")["version"] == before  # reading changes nothing
    done = command.run("catalogue", "publish", file, "--comment", "for a test")
    assert shown["changes"][0] in done.stderr
    published = json.loads(done.stdout)
    assert (published["version"], published["comment"]) == (before + 1, "for a test")
    assert published["created_by"].startswith("arn:aws:")
    until(lambda: name in shop.models())
    assert command("catalogue", "versions")[0]["version"] == before + 1
    assert ("catalogue.published", "operator", published["created_by"]) in command.actions("catalogue")
    back = command("catalogue", "restore", str(before))
    assert (back["version"], back["changes"][0].split(":")[0]) == (before + 2, f"models/{name} is gone")
    until(lambda: name not in shop.models())


def test_what_one_stage_exports_another_may_publish(shelf: Shelf) -> None:
    shelf.publish()
    exported = shelf.command("catalogue", "export")
    assert exported == json.loads(json.dumps(shelf.document()))
    assert shelf.command("catalogue", "diff", shelf.file(exported))["changes"] == []
    starting = shelf.command("catalogue", "export", "0")
    assert shelf.command("catalogue", "check", shelf.file(starting)) == {"valid": True}


def test_an_invalid_document_is_refused_with_all_that_is_wrong(shelf: Shelf) -> None:
    wrong = shelf.document(bad=shelf.model("Bad", tokenizer="none", routes=[{"upstream": "none", "model": "m"}]))
    before = shelf.command("catalogue", "show")["version"]
    for action in ("check", "diff", "publish"):
        done = shelf.command.run_here("catalogue", action, shelf.file(wrong))
        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert {line.partition(":")[0] for line in lines[1:]} == {
            "/models/bad/tokenizer",
            "/models/bad/routes/0/upstream",
        }
    assert shelf.command("catalogue", "show")["version"] == before


def test_the_projection_is_brought_to_what_the_database_says(stack: LocalStack, shelf: Shelf) -> None:
    version = shelf.command("catalogue", "show")["version"]
    table, keys = stack.outputs["AccessTableName"], ("CURRENT", "VERSION")
    client = stack.client("dynamodb")
    for sk in keys:
        client.delete_item(TableName=table, Key={"pk": {"S": "catalogue"}, "sk": {"S": sk}})
    shelf.command("project")
    for sk in keys:
        row = client.get_item(TableName=table, Key={"pk": {"S": "catalogue"}, "sk": {"S": sk}})["Item"]
        assert row["version"] == {"N": str(version)}


async def test_the_gateway_reads_a_new_version_behind_its_back(
    stack: LocalStack, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**CREDENTIALS, "AWS_ENDPOINT_URL": stack.emulator_url, "AWS_DEFAULT_REGION": REGION}
    for name, value in settings.items():
        monkeypatch.setitem(os.environ, name, value)
    monkeypatch.setattr(reading, "FRESH_SECONDS", 0.0)
    dynamodb = AsyncDynamoDB()
    reader = CatalogueReader(AsyncCatalogueStore(dynamodb, stack.outputs["AccessTableName"]))
    before = await reader.current()
    assert before.find("scripted-alias") is before.models["scripted-chat"]
    published = shelf.publish(**{f"m-{secrets.token_hex(4)}": shelf.model("New")})

    async def is_read() -> bool:
        return (await reader.current()).version == published

    await until_awaited(is_read)
    await dynamodb.close()
    shelf.publish()


# ----------------------------------------------------------------------------------------------- members


def test_the_list_is_what_the_policy_permits(shelf: Shelf, shop: Shop) -> None:
    everything = sorted(shelf.document()["models"])
    until(lambda: shop.models() == everything)
    shop.permit(allow=[f"{PROVIDER}/scripted-*"], deny=[f"{PROVIDER}/*-bedrock"])
    expected = [name for name in everything if name.startswith("scripted-") and not name.endswith("-bedrock")]
    until(lambda: shop.models() == expected)


def test_the_list_says_what_a_model_costs_and_where_to_ask(shelf: Shelf, shop: Shop) -> None:
    told = shop.owner.http.get(f"{shop.base}/models").json()
    assert (told["provider"], told["base_url"]) == (PROVIDER, f"{shop.owner.http.base_url}/zen/v1")
    model = next(each for each in told["data"] if each["id"] == "scripted-messages")
    assert model["formats"] == ["messages", "chat", "responses", "generate"]
    assert (model["price"]["input"], model["price"]["output"], model["price"]["cache_write_1h"]) == (
        "1.00",
        "10.00",
        None,
    )
    assert model["price"]["version"].startswith("scripted-messages@2026-01-01.")
    assert model["limits"] == {"context": 200_000, "input": None, "output": 8_000}


def test_a_key_lists_what_it_is_bound_to(shelf: Shelf, shop: Shop) -> None:
    key = shop.owner.key(shop.workspace, scopes=["inference"], models=[f"{PROVIDER}/steady-*"])
    with shop.people.with_key(key) as client:
        assert shop.models(client) == [name for name in shop.models() if name.startswith("steady-")]
        config = client.get("/api/config").json()["config"]
        assert sorted(config["provider"][PROVIDER]["models"]) == shop.models(client)


def test_roles_and_strangers(shelf: Shelf, shop: Shop) -> None:
    viewer = shop.people.joined(shop.owner, shop.workspace, Role.VIEWER)
    # A process that has just started may have read the catalogue seconds before another.
    until(lambda: shop.models(viewer.http) == shop.models())
    stranger = shop.people.somebody()
    assert stranger.http.get(f"{shop.base}/models").status_code == 404
    with shop.people.with_key(shop.owner.key(shop.workspace, scopes=["usage"])) as client:
        assert client.get(f"{shop.base}/models").status_code == 403


# ----------------------------------------------------------------------------------------------- clients


def test_everybody_may_list_the_stages_models_and_is_spared_what_has_not_changed(shelf: Shelf, shop: Shop) -> None:
    first = httpx.get(f"{shop.owner.http.base_url}/api.json", timeout=PATIENCE)
    provider = first.json()[PROVIDER]
    assert (first.headers["cache-control"], provider["env"]) == ("public, max-age=60", ["OPENCODE_API_KEY"])
    assert sorted(provider["models"]) == sorted(shelf.document()["models"])
    again = httpx.get(
        f"{shop.owner.http.base_url}/api.json", headers={"If-None-Match": first.headers["etag"]}, timeout=PATIENCE
    )
    assert (again.status_code, again.content) == (304, b"")


def test_a_workspaces_address_lists_what_its_policy_permits(shelf: Shelf, shop: Shop) -> None:
    url = shop.owner.http.get(f"{shop.base}/models").json()["models_url"]

    def listed() -> list[str]:
        return sorted(httpx.get(f"{url}/api.json", timeout=PATIENCE).json()[PROVIDER]["models"])

    until(lambda: listed() == shop.models())  # a version of another test may be seconds old
    shop.permit(deny=[f"{PROVIDER}/*"])
    until(lambda: listed() == [])
    token = url.rpartition("/")[2]
    other = shop.owner.found("Other")
    for wrong in (f"{url}x", url.replace(token, shop.workspace), url.replace(shop.workspace, other)):
        refused = httpx.get(f"{wrong}/api.json", timeout=PATIENCE)
        assert (refused.status_code, refused.json()["error"]) == (404, "listing_not_found")


def test_the_address_of_a_deleted_workspace_lists_nothing(shelf: Shelf, shop: Shop) -> None:
    url = shop.owner.http.get(f"{shop.base}/models").json()["models_url"]
    version = shop.owner.http.get(shop.base).headers["etag"]
    assert shop.owner.http.delete(shop.base, headers={"If-Match": version}).is_success
    until(lambda: httpx.get(f"{url}/api.json", timeout=PATIENCE).status_code == 404)


def test_a_clients_configuration_has_the_gateway_in_it(shelf: Shelf, shop: Shop) -> None:
    until(lambda: shop.configured() == shop.models())
    first = shop.config()
    config = first.json()["config"]
    provider = config["provider"][PROVIDER]
    assert provider["options"] == {
        "baseURL": f"{shop.owner.http.base_url}/zen/v1",
        "apiKey": "{env:OPENCODE_CONSOLE_TOKEN}",
        "headers": {"x-org-id": shop.workspace},
    }
    assert (sorted(provider["models"]), config["small_model"]) == (shop.models(), f"{PROVIDER}/scripted-chat")
    assert form_faults(config) == []
    assert shop.config(**{"If-None-Match": first.headers["etag"]}).status_code == 304
    shop.permit(allow=[f"{PROVIDER}/steady-*"])
    second = shop.config(**{"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert sorted(second.json()["config"]["provider"][PROVIDER]["models"]) == shop.models()
    assert "small_model" not in second.json()["config"]


def test_a_workspace_that_configures_the_provider_itself_gets_its_own(shelf: Shelf, shop: Shop) -> None:
    own = {"provider": {PROVIDER: {"npm": "@ai-sdk/openai", "models": {"m": {"name": "M"}}}}}
    body = {"configuration": own}
    assert shop.owner.http.put(f"{shop.base}/configuration", json=body, headers={"If-Match": '"0"'}).is_success
    assert shop.config().json()["config"] == own


def test_clients_of_the_second_generation_are_told_of_it_too(shelf: Shelf, shop: Shop) -> None:
    def told() -> dict[str, Any]:
        headers = {"x-org-id": shop.workspace}
        return shop.owner.http.get("/api/v2/config", headers=headers).json()["providers"][PROVIDER]

    assert told()["headers"] == {"x-org-id": shop.workspace}
    assert "apiKey" not in json.dumps(told())
    until(lambda: sorted(told()["models"]) == shop.models())  # a version of another test may be seconds old
