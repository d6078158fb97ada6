"""Large bodies of shares in S3: claim-checked records and items, snapshots, and documents for readers.

All objects of a share are under ``shares/<share id>/``, so a purge needs one listing. Names are content hashes or
random and objects are never overwritten, so a name always refers to the same content.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import now_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

PRESIGNED_SECONDS = 60
_LISTED = 1000  # S3: keys in one page of a listing, and in one DeleteObjects


class ObjectStore:
    """The bucket of shares."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._s3 = aws.s3()

    def put_body(self, share_id: ShareId, data: bytes) -> str:
        """Store the body of a large item. Return its name, a hash of its content, so a repeated body is stored once."""
        name = f"items/{hashlib.sha256(data).hexdigest()}"
        self.put(share_id, name, gzip.compress(data, 6, mtime=0))
        return name

    def get_body(self, share_id: ShareId, name: str) -> bytes:
        """Return the body of a large item."""
        return gzip.decompress(self.get(share_id, name))

    def put(self, share_id: ShareId, name: str, data: bytes, content_type: str = "application/json") -> None:
        """Store an object of gzip-compressed bytes. Readers with a presigned address decompress it by its encoding."""
        self._s3.put_object(
            Bucket=self._bucket,
            Key=_key(share_id, name),
            Body=data,
            ContentType=content_type,
            ContentEncoding="gzip",
            CacheControl="private, no-store",
        )

    def put_record(self, share_id: ShareId, name: str, payload: bytes) -> None:
        """Store the payload of a record that is too large for its row."""
        self._s3.put_object(
            Bucket=self._bucket, Key=_key(share_id, name), Body=payload, ContentType="application/octet-stream"
        )

    def get(self, share_id: ShareId, name: str) -> bytes:
        """Return an object's bytes as stored."""
        return self._s3.get_object(Bucket=self._bucket, Key=_key(share_id, name))["Body"].read()

    def exists(self, share_id: ShareId, name: str) -> bool:
        """Tell whether an object exists."""
        try:
            self._s3.head_object(Bucket=self._bucket, Key=_key(share_id, name))
        except ClientError as error:
            if aws.error_code(error) == "404":
                return False
            raise
        return True

    def delete(self, share_id: ShareId, name: str) -> None:
        """Delete all versions of one object."""
        self._delete_versions(_key(share_id, name))

    def delete_older(self, share_id: ShareId, folder: str, seconds: int) -> None:
        """Delete all versions of the objects in ``folder`` that were stored more than ``seconds`` ago."""
        stored = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=_key(share_id, folder)).get("Contents", [])
        oldest = now_seconds() - seconds
        for entry in stored:
            if "Key" in entry and "LastModified" in entry and entry["LastModified"].timestamp() < oldest:
                self._delete_versions(entry["Key"])

    def address(self, share_id: ShareId, name: str) -> str:
        """Return an address from which anyone can read the object for :data:`PRESIGNED_SECONDS`."""
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": _key(share_id, name)}, ExpiresIn=PRESIGNED_SECONDS
        )

    def origin(self) -> str:
        """Return the origin (scheme, host, port) of :meth:`address`."""
        return _origin(self._bucket)

    def purge(self, share_id: ShareId) -> int:
        """Delete every version of every object of a share. Return their number."""
        return self._delete_versions(_key(share_id, ""))

    def _delete_versions(self, prefix: str) -> int:
        removed = 0
        for versions in self._versions(prefix):
            objects = [{"Key": name, "VersionId": version} for name, version in versions]
            answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})  # pyright: ignore[reportArgumentType]
            if errors := answer.get("Errors"):
                raise RuntimeError(f"{len(errors)} object versions could not be deleted: {errors[0].get('Code')}")
            removed += len(objects)
        return removed

    def _versions(self, prefix: str) -> Iterator[list[tuple[str, str]]]:
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            # A delete marker is a version too. Deleting only the contents would leave it behind.
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            versions = [(entry.get("Key", ""), entry.get("VersionId", "")) for entry in entries]
            for start in range(0, len(versions), _LISTED):
                yield versions[start : start + _LISTED]


@cache
def _origin(bucket: str) -> str:
    parts = urlsplit(ObjectStore(bucket).address(ShareId("any"), "any"))
    return f"{parts.scheme}://{parts.netloc}"


def _key(share_id: ShareId, name: str) -> str:
    return f"shares/{share_id}/{name}"
