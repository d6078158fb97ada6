"""SQS, KMS, Secrets Manager and Lambda: the operations that functions use.

All but Lambda speak one JSON protocol: a POST that names its operation in the header ``x-amz-target`` ("AWS JSON 1.0
and 1.1 protocols", Smithy). Failed calls are retried as in the AWS SDKs' standard mode.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec

from opencode_cloud.kit.aws_api.connections import Answer, Connections
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.endpoints import endpoint, read_seconds, region
from opencode_cloud.kit.aws_api.errors import OUTDATED, AwsError, AwsRefusal, is_temporary
from opencode_cloud.kit.aws_api.signing import Signers
from opencode_cloud.kit.retry import Backoff, retry

CONNECT_SECONDS = 2
READ_SECONDS = 8
BACKOFF = Backoff(first=0.05, longest=1.0, attempts=4)


class Service:
    """Signed POST requests to one service; for use by any number of threads."""

    def __init__(self, service: str, signing_name: str) -> None:
        """``service`` is the name in endpoints' settings (``secrets_manager``), ``signing_name`` that of signatures."""
        url = endpoint(service)
        limit = read_seconds(READ_SECONDS)
        self._connections = Connections(url, connect_seconds=CONNECT_SECONDS, read_seconds=limit)
        self._signers = Signers(credential_source(), region(), signing_name, self._connections.host)

    def post(self, name: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request until it is answered; ``headers`` are the same for each ``name``. Raises ``AwsError``."""
        return retry(lambda: self._attempt(name, path, headers, body), BACKOFF, AwsError, when=is_temporary)

    def _attempt(self, name: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        head = self._signers.signer(name, headers).head("POST", path, body)
        answer = self._connections.exchange("POST", head, body)
        if answer.status >= 300:
            error = _refusal(answer)
            if error.code in OUTDATED:
                self._signers.renew(answer.headers.get("date", ""))
            raise error
        return answer


class _JsonService(Service):
    """A service of the JSON protocol."""

    def __init__(self, service: str, target: str, version: str) -> None:
        super().__init__(service, service.replace("_", ""))
        self._target = target
        self._content_type = f"application/x-amz-json-{version}"

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Execute an operation and return its answer. Raises ``AwsError``."""
        headers = {"content-type": self._content_type, "x-amz-target": f"{self._target}.{operation}"}
        answer = self.post(operation, "/", headers, msgspec.json.encode(request))
        return msgspec.json.decode(answer.body) if answer.body else {}


class Sqs(_JsonService):
    """Queues."""

    def __init__(self) -> None:
        super().__init__("sqs", "AmazonSQS", "1.0")

    def send_message(self, url: str, body: str, *, delay_seconds: int = 0) -> None:
        """Send a message, which is delivered after ``delay_seconds``."""
        delay = {"DelaySeconds": delay_seconds} if delay_seconds else {}
        self.call("SendMessage", {"QueueUrl": url, "MessageBody": body, **delay})

    def attributes(self, url: str, *names: str) -> dict[str, str]:
        """Return attributes of a queue; those without a value are missing."""
        request = {"QueueUrl": url, "AttributeNames": list(names)}
        return self.call("GetQueueAttributes", request).get("Attributes") or {}

    def receive(self, url: str, *, hidden_seconds: int) -> list[tuple[str, str]]:
        """Return receipt and body of at most ten messages, which others do not receive for ``hidden_seconds``.

        It asks all servers of the queue, which takes a second for an empty one. A shorter question asks some of them.
        """
        request = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": hidden_seconds}
        request["WaitTimeSeconds"] = 1
        found: list[dict[str, str]] = self.call("ReceiveMessage", request).get("Messages") or []
        return [(message["ReceiptHandle"], message["Body"]) for message in found]

    def delete(self, url: str, receipt: str) -> None:
        """Delete a received message."""
        self.call("DeleteMessage", {"QueueUrl": url, "ReceiptHandle": receipt})

    def change_visibility(self, url: str, receipt: str, seconds: int) -> None:
        """Have a received message delivered again after ``seconds``."""
        self.call("ChangeMessageVisibility", {"QueueUrl": url, "ReceiptHandle": receipt, "VisibilityTimeout": seconds})


class Kms(_JsonService):
    """Keys that never leave KMS."""

    def __init__(self) -> None:
        super().__init__("kms", "TrentService", "1.1")

    def generate_data_key(self, key_id: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new AES-256 key in plain, and encrypted under ``key_id`` for ``context``."""
        request = {"KeyId": key_id, "KeySpec": "AES_256", "EncryptionContext": dict(context)}
        answer = self.call("GenerateDataKey", request)
        return b64decode(answer["Plaintext"]), b64decode(answer["CiphertextBlob"])

    def decrypt(self, key_id: str, ciphertext: bytes, context: Mapping[str, str]) -> bytes:
        """Return what was encrypted under ``key_id`` for ``context``."""
        request = {"KeyId": key_id, "CiphertextBlob": _text(ciphertext), "EncryptionContext": dict(context)}
        return b64decode(self.call("Decrypt", request)["Plaintext"])

    def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """Return the signature of a message's digest."""
        request = {"KeyId": key_id, "Message": _text(digest), "MessageType": "DIGEST", "SigningAlgorithm": algorithm}
        return b64decode(self.call("Sign", request)["Signature"])

    def public_key(self, key_id: str) -> bytes:
        """Return the public key of a key pair (DER, SubjectPublicKeyInfo)."""
        return b64decode(self.call("GetPublicKey", {"KeyId": key_id})["PublicKey"])


class SecretsManager(_JsonService):
    """Secrets."""

    def __init__(self) -> None:
        super().__init__("secrets_manager", "secretsmanager", "1.1")

    def secret(self, arn: str) -> str:
        """Return a secret's present value."""
        return self.call("GetSecretValue", {"SecretId": arn})["SecretString"]


class Lambda(Service):
    """Functions."""

    def __init__(self) -> None:
        super().__init__("lambda", "lambda")

    def invoke_later(self, function: str, payload: bytes) -> None:
        """Have a function invoked asynchronously, by name or ARN."""
        path = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
        self.post("Invoke", path, {"x-amz-invocation-type": "Event"}, payload)


def _text(binary: bytes) -> str:
    return b64encode(binary).decode()


def _refusal(answer: Answer) -> AwsRefusal:
    """Return the error of a refusal: its code is in the body or, for Lambda, in a header."""
    body: Any = {}
    with suppress(msgspec.DecodeError):  # a load balancer answers in HTML
        body = msgspec.json.decode(answer.body)
    named = answer.headers.get("x-amzn-errortype") or str(body.get("__type") or body.get("code") or "Unknown")
    code = named.partition(":")[0].rpartition("#")[2]
    return AwsRefusal(code, str(body.get("message") or body.get("Message") or ""), answer.status)
