"""The bucket of static documents, read as CloudFront reads it, with only the right to read."""

import asyncio
from importlib import import_module
from typing import Any

from aiohttp import web

from local.front_door import refusals
from local.front_door.settings import Settings


class SiteDoor:
    """Answers from the emulator's S3."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.site_bucket
        self._endpoint = settings.aws_endpoint
        self._client: Any = None

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with the object that the path names.

        Raises:
            Refusal: There is none, the method changes something, or the emulator does not answer.
        """
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            raise refusals.method_not_allowed()
        stored = await asyncio.to_thread(self._read, request.path.removeprefix("/"))
        if stored is None:
            raise refusals.no_object()
        body, headers = stored
        return web.Response(body=body, headers={**headers, "Access-Control-Allow-Origin": "*"})

    def _read(self, key: str) -> tuple[bytes, dict[str, str]] | None:
        boto: Any = import_module("botocore.exceptions")
        try:
            response = self._s3().get_object(Bucket=self._bucket, Key=key)
        except boto.ClientError:
            return None
        except boto.BotoCoreError:
            raise refusals.unavailable() from None
        headers = {"Content-Type": response["ContentType"], "ETag": response["ETag"]}
        if "CacheControl" in response:
            headers["Cache-Control"] = response["CacheControl"]
        return response["Body"].read(), headers

    def _s3(self) -> Any:
        if self._client is None:
            make: Any = import_module("boto3").client
            self._client = make("s3", endpoint_url=self._endpoint)
        return self._client
