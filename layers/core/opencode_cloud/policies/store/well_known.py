"""The document at ``/.well-known/opencode``: an object of the site's bucket that CloudFront serves directly."""

from __future__ import annotations

from botocore.exceptions import ClientError

from opencode_cloud.kit import aws

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
            response = aws.s3().get_object(Bucket=self._bucket, Key=KEY)
        except ClientError as error:
            # S3 answers 403 for a missing object if the role may not list the bucket.
            if aws.error_code(error) in ("NoSuchKey", "AccessDenied", "403", "404"):
                return None
            raise
        return response["Body"].read(), response["Metadata"].get(_ORIGIN) == "operator"

    def write(self, document: bytes, *, by_operator: bool) -> None:
        """Publish a document."""
        aws.s3().put_object(
            Bucket=self._bucket,
            Key=KEY,
            Body=document,
            ContentType="application/json",
            CacheControl=CACHED,
            Metadata={_ORIGIN: "operator" if by_operator else "default"},
        )
