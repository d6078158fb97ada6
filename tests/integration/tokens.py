"""Access tokens as the deployment would issue them, signed by its own key in KMS: also such as it would not."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

from opencode_cloud.identity.store.keys import key_id
from tests.integration.people import Person


def access_token(stack: Any, person: Person, seconds: int = 3600, **claims: Any) -> str:
    """Return a token of `person`'s session that ends in `seconds`."""
    function = stack.client("lambda").get_function_configuration(FunctionName=stack.outputs["ConsoleFunctionName"])
    arn = function["Environment"]["Variables"]["SIGNING_KEYS"].split(",")[0]
    now = int(time.time())
    said = {"aud": "opencode-cloud", "sub": person.account, "sid": person.session, "client_id": "opencode-cli"}
    said |= {"iss": stack.url, "iat": now - 60, "exp": now + seconds, "jti": "test"} | claims
    header = {"alg": "RS256", "kid": key_id(arn), "typ": "at+jwt"}
    signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, said))
    signature = stack.client("kms").sign(
        KeyId=arn,
        Message=hashlib.sha256(signed.encode()).digest(),
        MessageType="DIGEST",
        SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
    )["Signature"]
    return f"{signed}.{_encode(signature)}"


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
