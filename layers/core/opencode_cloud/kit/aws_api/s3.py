"""S3: the operations that functions use, and addresses that anyone can read from for some seconds.

Transfers of large files in parts are boto3's (``aws.s3_transfers``).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlsplit

import msgspec

from opencode_cloud.kit.aws_api.connections import Answer, Connections
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.endpoints import configured, endpoint, read_seconds, region
from opencode_cloud.kit.aws_api.errors import OUTDATED, AwsError, AwsRefusal, is_temporary
from opencode_cloud.kit.aws_api.json_services import BACKOFF, CONNECT_SECONDS, READ_SECONDS
from opencode_cloud.kit.aws_api.signing import ServiceClock, canonical_query, presigned_query, signed_headers
from opencode_cloud.kit.retry import retry

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LISTED = 1000
"""Keys in one page of a listing, and at most in one deletion."""
_AS_HOST = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
_META = "x-amz-meta-"
_CODE_BY_STATUS = {403: "AccessDenied", 404: "NoSuchKey"}  # a HEAD has no body that names one


class StoredObject(msgspec.Struct, frozen=True):
    """An object's content and its metadata."""

    body: bytes
    metadata: Mapping[str, str]


class ListedObject(msgspec.Struct, frozen=True):
    """An object of a listing. ``stored_at`` is in seconds since the epoch."""

    key: str
    stored_at: float


class S3:
    """Objects of buckets; for use by any number of threads."""

    def __init__(self) -> None:
        self._source, self._region = credential_source(), region()
        self._clock = ServiceClock()
        self._endpoint = urlsplit(endpoint("s3"))
        self._by_path = configured("s3") is not None
        self._connections: dict[str, Connections] = {}

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        headers: Mapping[str, str],
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Store an object. ``headers`` have names in lower case (``content-type``, ``cache-control``, ...)."""
        sent = {**headers, **{f"{_META}{name}": value for name, value in metadata.items()}}
        self._call("PUT", bucket, key, headers=sent, body=body)

    def get(self, bucket: str, key: str) -> StoredObject:
        """Return an object. Raises ``AwsRefusal`` (``NoSuchKey`` or ``AccessDenied``) if there is none."""
        answer = self._call("GET", bucket, key)
        names = {name[len(_META) :]: value for name, value in answer.headers.items() if name.startswith(_META)}
        return StoredObject(answer.body, names)

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of an object from ``start`` on. Raises as :meth:`get` does."""
        return self._call("GET", bucket, key, headers={"range": f"bytes={start}-{start + length - 1}"}).body

    def exists(self, bucket: str, key: str) -> bool:
        """Tell whether there is an object."""
        try:
            self._call("HEAD", bucket, key)
        except AwsRefusal as error:
            if error.status != 404:
                raise
            return False
        return True

    def objects(self, bucket: str, prefix: str) -> Iterator[ListedObject]:
        """Yield the objects whose keys begin with ``prefix``."""
        more: dict[str, str] = {}
        while True:
            page = self._listing(bucket, {"list-type": "2", "prefix": prefix, "encoding-type": "url", **more})
            for entry in _all(page, "Contents"):
                yield ListedObject(_key(page, entry), datetime.fromisoformat(_of(entry, "LastModified")).timestamp())
            if _of(page, "IsTruncated") != "true":
                return
            more = {"continuation-token": _of(page, "NextContinuationToken")}

    def versions(self, bucket: str, prefix: str) -> Iterator[list[tuple[str, str]]]:
        """Yield pages of the keys and version ids of all versions, delete markers among them, under ``prefix``."""
        more: dict[str, str] = {}
        while True:
            page = self._listing(bucket, {"versions": "", "prefix": prefix, "encoding-type": "url", **more})
            entries = [*_all(page, "Version"), *_all(page, "DeleteMarker")]
            yield [(_key(page, entry), _of(entry, "VersionId")) for entry in entries]
            if _of(page, "IsTruncated") != "true":
                return
            more = {
                "key-marker": _of(page, "NextKeyMarker"),
                "version-id-marker": _of(page, "NextVersionIdMarker"),
            }

    def delete_versions(self, bucket: str, versions: Sequence[tuple[str, str]]) -> None:
        """Delete at most :data:`LISTED` versions. Raises ``AwsRefusal`` if one of them stays."""
        body = _deletion(versions)
        checksum = b64encode(zlib.crc32(body).to_bytes(4)).decode()
        headers = {"content-type": "application/xml", "x-amz-checksum-crc32": checksum}
        answer = _xml(self._call("POST", bucket, "", query={"delete": ""}, headers=headers, body=body).body)
        errors = _all(answer, "Error")
        if errors:
            message = f"{len(errors)} object versions could not be deleted: {_of(errors[0], 'Message')}"
            raise AwsRefusal(_of(errors[0], "Code"), message, 200)

    def address(self, bucket: str, key: str, seconds: int) -> str:
        """Return an address from which anyone can read an object for ``seconds``."""
        host, path = place = self._place(bucket, key)
        query = presigned_query(self._source.get(), self._region, "s3", self._clock.now(), place, seconds)
        return f"{self._endpoint.scheme}://{host}{path}?{query}"

    def _listing(self, bucket: str, query: Mapping[str, str]) -> Element:
        return _xml(self._call("GET", bucket, "", query=query).body)

    def _call(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send a request until it is answered. Raises ``AwsError``."""
        host, path = self._place(bucket, key)
        connections = self._connections.get(host) or self._connect(host)
        payload_hash = hashlib.sha256(body).hexdigest()
        text = canonical_query(query or {})

        def attempt() -> Answer:
            signed = signed_headers(
                self._source.get(),
                self._region,
                "s3",
                self._clock.now(),
                (method, path, query or {}),
                {"host": host, **(headers or {})},
                payload_hash,
            )
            lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
            target = f"{path}?{text}" if text else path
            head = f"{method} {target} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode()
            answer = connections.exchange(method, head, body)
            if answer.status >= 300:
                error = _refusal(answer)
                if error.code in OUTDATED:
                    self._source.renew()
                    self._clock.correct(answer.headers.get("date", ""))
                raise error
            return answer

        return retry(attempt, BACKOFF, AwsError, when=is_temporary)

    def _place(self, bucket: str, key: str) -> tuple[str, str]:
        """Return the host and the path of an object: the bucket is in the host where its name allows that."""
        path = f"/{quote(key, safe='/~')}"
        if self._by_path or not re.fullmatch(_AS_HOST, bucket):
            return self._endpoint.netloc, f"/{bucket}{path}"
        return f"{bucket}.{self._endpoint.netloc}", path

    def _connect(self, host: str) -> Connections:
        url = f"{self._endpoint.scheme}://{host}"
        made = Connections(url, connect_seconds=CONNECT_SECONDS, read_seconds=read_seconds(READ_SECONDS))
        return self._connections.setdefault(host, made)


def _refusal(answer: Answer) -> AwsRefusal:
    code, message = _CODE_BY_STATUS.get(answer.status, "Unknown"), ""
    if answer.body.lstrip().startswith(b"<"):
        page = _xml(answer.body)
        code, message = _of(page, "Code") or code, _of(page, "Message")
    return AwsRefusal(code, message, answer.status)


def _xml(body: bytes) -> Element:
    """Parse an answer, without the namespace of its names. Raises ``AwsRefusal`` if it is cut off or not XML."""
    from xml.etree import ElementTree  # slow to import, and rarely used

    try:
        page = ElementTree.fromstring(body)  # noqa: S314 - S3 wrote it, over TLS
    except ElementTree.ParseError as error:
        raise AwsRefusal("InternalError", "the answer is not XML", 500) from error
    for element in page.iter():
        element.tag = element.tag.rpartition("}")[2]
    return page


def _deletion(versions: Sequence[tuple[str, str]]) -> bytes:
    from xml.etree import ElementTree

    root = ElementTree.Element("Delete")
    ElementTree.SubElement(root, "Quiet").text = "true"
    for key, version in versions:
        entry = ElementTree.SubElement(root, "Object")
        ElementTree.SubElement(entry, "Key").text = key
        ElementTree.SubElement(entry, "VersionId").text = version
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=False)


def _all(element: Element, name: str) -> list[Element]:
    return element.findall(name)


def _of(element: Element, name: str) -> str:
    return element.findtext(name) or ""


def _key(page: Element, entry: Element) -> str:
    key = _of(entry, "Key")
    return unquote_plus(key) if _of(page, "EncodingType") == "url" else key
