"""The document at ``/.well-known/opencode``: an object of the site's bucket that CloudFront serves directly."""

from __future__ import annotations

from opencode_cloud.kit import aws
from opencode_cloud.kit.aws_api.errors import AwsRefusal

KEY = ".well-known/opencode"
CACHED = "public, max-age=60, s-maxage=300, stale-while-revalidate=86400, stale-if-error=31536000"
"""Changes reach all clients within minutes. If the bucket fails, CloudFront serves its copy for a year."""
_ORIGIN = "origin"  # metadata: "default" for the default document, "operator" for one that an operator has published


class SiteStore:
    """Reads and writes the document in the site's bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def read(self) -> tuple[bytes, bool] | None:
        """Return the document, and whether an operator has published it."""
        try:
            stored = aws.s3().get(self._bucket, KEY)
        except AwsRefusal as error:
            # S3 answers 403 for a missing object if the role may not list the bucket.
            if error.code in ("NoSuchKey", "AccessDenied"):
                return None
            raise
        return stored.body, stored.metadata.get(_ORIGIN) == "operator"

    def write(self, document: bytes, *, by_operator: bool) -> None:
        """Publish a document."""
        headers = {"content-type": "application/json", "cache-control": CACHED}
        metadata = {_ORIGIN: "operator" if by_operator else "default"}
        aws.s3().put(self._bucket, KEY, document, headers, metadata)
