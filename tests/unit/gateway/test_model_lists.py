"""Lists of models, and one of them, in the forms of the vendors' clients."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from opencode_cloud.catalogue.models import Route
from opencode_cloud.gateway.addresses import GOOGLE_LISTS, LISTS
from opencode_cloud.gateway.model_names import find_model
from tests.unit.gateway.asking import KEY
from tests.unit.gateway.calling import Rig
from tests.unit.gateway.catalogues import catalogue, model, upstream


@pytest.mark.parametrize("path", LISTS)
async def test_one_model_is_below_the_list(client: httpx.AsyncClient, path: str) -> None:
    for name in ("m1", "vendor-m1"):
        entry = (await client.get(f"{path}/{name}", headers=KEY)).json()
        assert (entry["id"], entry["object"], entry["type"]) == ("m1", "model", "model")


@pytest.mark.parametrize("name", ["openai/m1", "openai%2Fm1", "openrouter/openai/m1", "openrouter%2fopenai%2fm1"])
async def test_the_name_of_one_model_may_have_slashes(client: httpx.AsyncClient, name: str) -> None:
    for path in (*LISTS, *GOOGLE_LISTS):
        assert (await client.get(f"{path}/{name}", headers=KEY)).json() == (
            await client.get(f"{path}/m1", headers=KEY)
        ).json()


@pytest.mark.parametrize("name", ["openai/none", "openai%2Fnone", "someone/m1"])
async def test_an_unknown_name_with_slashes_is_refused_in_each_vendors_form(
    client: httpx.AsyncClient, name: str
) -> None:
    for path in LISTS:
        answer = await client.get(f"{path}/{name}", headers=KEY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    for path in GOOGLE_LISTS:
        answer = await client.get(f"{path}/{name}", headers=KEY)
        assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", GOOGLE_LISTS)
async def test_googles_clients_get_models_in_their_shape(client: httpx.AsyncClient, path: str) -> None:
    listed = (await client.get(path, headers=KEY)).json()
    entry = (await client.get(f"{path}/m1", headers=KEY)).json()
    assert listed["models"][0] == entry
    assert (entry["name"], entry["inputTokenLimit"], entry["outputTokenLimit"]) == ("models/m1", 200_000, 32_000)
    assert "countTokens" in entry["supportedGenerationMethods"]


async def test_lists_have_pages(client: httpx.AsyncClient, rig: Rig) -> None:
    rig.catalogue.models.update({f"n{n}": msgspec.structs.replace(rig.model, id=f"n{n}", aliases=()) for n in range(4)})
    first = (await client.get("/zen/v1/models?limit=2", headers=KEY)).json()
    assert ([entry["id"] for entry in first["data"]], first["has_more"]) == (["m1", "n0"], True)
    second = (await client.get(f"/zen/v1/models?limit=3&after_id={first['last_id']}", headers=KEY)).json()
    assert ([entry["id"] for entry in second["data"]], second["has_more"]) == (["n1", "n2", "n3"], False)
    before = (await client.get("/zen/v1/models?before_id=n1", headers=KEY)).json()
    assert [entry["id"] for entry in before["data"]] == ["m1", "n0"]
    page = (await client.get("/zen/v1beta/models?pageSize=4", headers=KEY)).json()
    last = (await client.get(f"/zen/v1beta/models?pageToken={page['nextPageToken']}", headers=KEY)).json()
    assert [entry["name"] for entry in last["models"]] == ["models/n3"]
    assert "nextPageToken" not in last


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1001", "9" * 50, "\u0663"])
async def test_a_wrong_size_of_a_page_is_refused(client: httpx.AsyncClient, limit: str) -> None:
    answer = await client.get("/zen/v1/models", params={"limit": limit}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_a_version_with_a_dot_means_the_model_with_a_hyphen() -> None:
    found = model(Route(upstream="a", model="m"), id="claude-sonnet-4-5", aliases=())
    every = catalogue(found, a=upstream())
    for name in ("claude-sonnet-4.5", "anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"):
        assert find_model(every, name) is found
    for name in ("claude-sonnet-4.6", "claude.sonnet-4-5", "someone/claude-sonnet-4.5"):
        assert find_model(every, name) is None
