"""The rows of the current catalogue: complete, and never replaced by an older version."""

from __future__ import annotations

import pytest

from opencode_cloud.catalogue.document import form_of
from opencode_cloud.catalogue.models import Catalogue
from opencode_cloud.catalogue.store.current import AsyncCatalogueStore, CatalogueStore
from opencode_cloud.kit import aws
from tests.unit.aws import Cloud, InProcessDynamoDB
from tests.unit.catalogue.documents import document


def catalogue(version: int) -> Catalogue:
    return form_of(document()).catalogue(version)


@pytest.fixture
def store(cloud: Cloud) -> CatalogueStore:
    return CatalogueStore(cloud.table("access"))


async def test_both_planes_read_what_was_put(store: CatalogueStore) -> None:
    event_loop = AsyncCatalogueStore(InProcessDynamoDB(), "access")
    assert (store.version(), await event_loop.version()) == (0, 0)
    assert store.put(catalogue(3))
    assert (store.version(), await event_loop.version()) == (3, 3)
    assert store.catalogue() == await event_loop.catalogue() == catalogue(3)


@pytest.mark.parametrize("version", [2, 3])
def test_versions_only_go_up(store: CatalogueStore, version: int) -> None:
    store.put(catalogue(3))
    assert not store.put(catalogue(version))
    assert (store.version(), store.catalogue()) == (3, catalogue(3))


def test_a_restored_database_may_go_back(store: CatalogueStore) -> None:
    store.put(catalogue(3))
    assert store.put(catalogue(2), over=True)
    assert (store.version(), store.catalogue()) == (2, catalogue(2))


def test_what_a_killed_writer_left_half_done_is_finished(store: CatalogueStore) -> None:
    store.put(catalogue(3))
    aws.dynamodb().delete_item(TableName="access", Key={"pk": {"S": "catalogue"}, "sk": {"S": "VERSION"}})
    assert store.version() == 0
    assert store.put(catalogue(3))
    assert store.version() == 3
