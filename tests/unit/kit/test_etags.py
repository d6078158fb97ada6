import pytest

from opencode_cloud.kit.errors import BadRequest, PreconditionFailed, PreconditionRequired
from opencode_cloud.kit.etags import check_version, etag, version_of_request


def test_a_tag_comes_back_as_its_version_also_when_the_edge_weakened_it() -> None:
    assert version_of_request({"headers": {"if-match": etag(7)}}) == 7
    assert version_of_request({"headers": {"if-match": "W/" + etag(7)}}) == 7


@pytest.mark.parametrize("headers", [{}, {"if-match": ""}, {"if-match": "*"}])
def test_a_change_without_a_version_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(PreconditionRequired):
        version_of_request({"headers": headers})


def test_what_is_no_tag_is_refused() -> None:
    with pytest.raises(BadRequest):
        version_of_request({"headers": {"if-match": '"3", "4"'}})


def test_a_stale_version_is_refused() -> None:
    check_version(3, 3)
    with pytest.raises(PreconditionFailed):
        check_version(2, 3)
