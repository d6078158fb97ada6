"""Large bodies of shares in S3: claim-checked records and items, snapshots, and documents for readers.

All objects of a share are under ``shares/<share id>/``, so a purge needs one listing. Names are content hashes or
random and objects are never overwritten, so a name always refers to the same content.
"""

from __future__ import annotations

import hashlib
from functools import cache
from urllib.parse import urlsplit

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import aws
from opencode_cloud.kit.aws_api.s3 import LISTED
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.content_codings import Coding, pack, unpack
from opencode_cloud.sharing.models import Item

PRESIGNED_SECONDS = 60
_BODY_LEVEL = 6


class ObjectStore:
    """The bucket of shares."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._s3 = aws.s3()

    def put_body(self, share_id: ShareId, data: bytes) -> str:
        """Store the body of a large item. Return its name, a hash of its content, so a repeated body is stored once."""
        name = f"items/{hashlib.sha256(data).hexdigest()}"
        self.put(share_id, name, pack(data, Coding.GZIP, _BODY_LEVEL))
        return name

    def get_body(self, share_id: ShareId, name: str) -> bytes:
        """Return the body of a large item."""
        return unpack(self.get(share_id, name), Coding.GZIP)

    def filled(self, share_id: ShareId, item: Item) -> Item:
        """Return an item with its body, which may be stored here."""
        if item.body is None:
            return item
        return msgspec.structs.replace(item, data=self.get_body(share_id, item.body), body=None)

    def put(
        self,
        share_id: ShareId,
        name: str,
        data: bytes,
        content_type: str = "application/json",
        coding: Coding = Coding.GZIP,
    ) -> None:
        """Store an object of compressed bytes. Readers with a presigned address decompress it by its encoding."""
        headers = {
            "content-type": content_type,
            "content-encoding": coding.value,
            "cache-control": "private, no-store",
        }
        self._s3.put(self._bucket, _key(share_id, name), data, headers)

    def put_record(self, share_id: ShareId, name: str, payload: bytes) -> None:
        """Store bytes that only the server reads, such as the payload of a record that is too large for its row."""
        headers = {"content-type": "application/octet-stream"}
        self._s3.put(self._bucket, _key(share_id, name), payload, headers)

    def get(self, share_id: ShareId, name: str) -> bytes:
        """Return an object's bytes as stored."""
        return self._s3.get(self._bucket, _key(share_id, name)).body

    def get_range(self, share_id: ShareId, name: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of an object from ``start`` on, as stored."""
        return self._s3.get_range(self._bucket, _key(share_id, name), start, length)

    def exists(self, share_id: ShareId, name: str) -> bool:
        """Tell whether an object exists."""
        return self._s3.exists(self._bucket, _key(share_id, name))

    def delete(self, share_id: ShareId, name: str) -> None:
        """Delete all versions of an object, and of objects whose names begin with its name."""
        self._delete_versions(_key(share_id, name))

    def delete_older(self, share_id: ShareId, folder: str, seconds: int) -> None:
        """Delete all versions of the objects in ``folder`` that were stored more than ``seconds`` ago."""
        oldest = now_seconds() - seconds
        for stored in self._s3.objects(self._bucket, _key(share_id, folder)):
            if stored.stored_at < oldest:
                self._delete_versions(stored.key)

    def address(self, share_id: ShareId, name: str) -> str:
        """Return an address from which anyone can read the object for :data:`PRESIGNED_SECONDS`."""
        return self._s3.address(self._bucket, _key(share_id, name), PRESIGNED_SECONDS)

    def origin(self) -> str:
        """Return the origin (scheme, host, port) of :meth:`address`."""
        return _origin(self._bucket)

    def purge(self, share_id: ShareId) -> int:
        """Delete every version of every object of a share. Return their number."""
        return self._delete_versions(_key(share_id, ""))

    def _delete_versions(self, prefix: str) -> int:
        removed = 0
        # A delete marker is a version too. Deleting only the contents would leave it behind.
        for versions in self._s3.versions(self._bucket, prefix):
            for start in range(0, len(versions), LISTED):
                self._s3.delete_versions(self._bucket, versions[start : start + LISTED])
            removed += len(versions)
        return removed


@cache
def _origin(bucket: str) -> str:
    parts = urlsplit(ObjectStore(bucket).address(ShareId("any"), "any"))
    return f"{parts.scheme}://{parts.netloc}"


def _key(share_id: ShareId, name: str) -> str:
    return f"shares/{share_id}/{name}"
