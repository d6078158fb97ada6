"""The document in the site's bucket: read as published, and marked as the default or an operator's."""

from __future__ import annotations

import pytest

from opencode_cloud.policies.store.well_known import CACHED, KEY, SiteStore
from tests.unit.aws import Cloud, by_boto3


@pytest.fixture
def site(cloud: Cloud) -> SiteStore:
    return SiteStore(cloud.bucket("site", versioned=True))


def test_without_a_document_there_is_none(site: SiteStore) -> None:
    assert site.read() is None


@pytest.mark.parametrize("by_operator", [True, False])
def test_a_document_is_read_as_published(site: SiteStore, by_operator: bool) -> None:
    site.write(b"{}", by_operator=not by_operator)
    site.write(b'{"a": 1}', by_operator=by_operator)
    assert site.read() == (b'{"a": 1}', by_operator)


def test_caches_are_told_how_long_a_document_is_good(site: SiteStore) -> None:
    site.write(b"{}", by_operator=False)
    found = by_boto3("s3").head_object(Bucket="site", Key=KEY)
    assert (found.get("CacheControl"), found.get("ContentType")) == (CACHED, "application/json")
