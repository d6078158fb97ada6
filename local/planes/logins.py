"""The authorization server, and what a client asks for after its login (docs/login.md, docs/configuration.md)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from local.planes.parts import (
    ANY,
    ANYONE,
    MEMBER,
    NUMBER,
    PERSON,
    TEXT,
    TRUTH,
    Plane,
    Schema,
    answer,
    body,
    one_of,
    operation,
    query,
    said,
    service_fault,
    several,
    workspace_header,
)

LOGINS, CLIENTS = "Logins of clients", "Clients"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_GRANT = {
    "grant_type": DEVICE_GRANT,
    "client_id": "opencode-cli",
    "device_code": "MEhDQndKM0pKMnZ0c2pjU3lVbGZ1c0Z6dEZ1Wk8",
}
_CLIENT = said(TEXT, "`opencode-cli` or `opencode-web`. Both are public clients without a secret.")


def logins() -> Plane:
    """Return the description of logins, metadata and the clients' first requests."""
    plane = Plane()
    fault = plane.model(
        "OAuthFault",
        "An error of the authorization server (RFC 6749, 5.2).",
        "error error_description",
        error=TEXT,
        error_description=TEXT,
    )
    _devices(plane, fault)
    _tokens(plane, fault)
    _discovery(plane)
    _clients(plane)
    return plane


def _exchange(plane: Plane, path: str, summary: str, text: str, sent: Schema, got: Schema, fault: Schema) -> None:
    example = _GRANT if path.endswith("token") else None
    responses = {"200": answer("Done.", got), **plane.refusals(fault, HTTPStatus.BAD_REQUEST)}
    text += " The body may also be a form, as the RFCs require."
    made = operation(LOGINS, summary, text, "none", ANYONE, responses, request=body(sent, example=example))
    plane.add("post", path, made)


def _devices(plane: Plane, fault: Schema) -> None:
    request = plane.model(
        "DeviceCodeRequest",
        "A device that wants to log in.",
        "client_id",
        client_id=_CLIENT,
        supports_org_scope=said(TRUTH, "The client understands `org_id`: the workspace that the person chooses."),
    )
    code = plane.model(
        "DeviceCode",
        "A code to show to the person, and one to ask with (RFC 8628).",
        "device_code user_code verification_uri verification_uri_complete expires_in interval",
        device_code=TEXT,
        user_code=TEXT,
        verification_uri=TEXT,
        verification_uri_complete=TEXT,
        expires_in=said(NUMBER, "Seconds."),
        interval=said(NUMBER, "Seconds between two questions for the token."),
    )
    text = "Begin a device login (RFC 8628). A person approves the code at `/device`."
    _exchange(plane, "/auth/device/code", "Begin a device login", text, request, code, fault)


def _tokens(plane: Plane, fault: Schema) -> None:
    request = plane.model(
        "TokenRequest",
        "A grant, as JSON or as a form. Each kind of grant needs the members that its RFC names.",
        "grant_type client_id",
        grant_type=one_of("authorization_code", "refresh_token", DEVICE_GRANT),
        client_id=_CLIENT,
        device_code=TEXT,
        refresh_token=TEXT,
        code=TEXT,
        code_verifier=said(TEXT, "The secret of PKCE, which is required."),
        redirect_uri=TEXT,
    )
    token = plane.model(
        "TokenAnswer",
        "Tokens of a session. Each refresh replaces the refresh token.",
        "access_token token_type expires_in refresh_token",
        access_token=TEXT,
        token_type=TEXT,
        expires_in=said(NUMBER, "Seconds."),
        refresh_token=TEXT,
        org_id=said(TEXT, "The workspace that the person chose, if the client supports it."),
    )
    waiting = "Until a person has decided, a device gets 400 `authorization_pending`."
    _exchange(plane, "/auth/token", "Get tokens", f"Exchange a grant. {waiting}", request, token, fault)
    same = "The same as `/auth/token`, at the address that opencode asks."
    _exchange(plane, "/auth/device/token", "Get tokens of a device", same, request, token, fault)
    revocation = plane.model("TokenRevocation", "A token to revoke.", "token client_id", token=TEXT, client_id=_CLIENT)
    text = "End the session of a token everywhere (RFC 7009). An unknown token is no error."
    nothing = plane.open_model("EmptyAnswer", "An empty object.")
    _exchange(plane, "/auth/revoke", "Revoke a token", text, revocation, nothing, fault)
    page = answer("A page on which the person decides.", html="The page of consent.")
    parameters = [
        query("response_type", "`code`.", required=True),
        query("client_id", "`opencode-web`.", required=True),
        query("redirect_uri", "`http://127.0.0.1:<port>/callback`, or one of the stage's setting.", required=True),
        query("code_challenge", "The challenge of PKCE.", required=True),
        query("code_challenge_method", "`S256`.", required=True),
        query("state", "Any text; it comes back."),
    ]
    made = operation(
        LOGINS,
        "Ask a person for consent",
        "Open this address in a browser. It sends the person back to `redirect_uri` with `code` (RFC 6749, 4.1).",
        "none",
        ANYONE,
        {"200": page, "303": answer("To sign in first."), **plane.refusals(fault, HTTPStatus.BAD_REQUEST)},
        parameters=parameters,
    )
    plane.add("get", "/auth/authorize", made)


def _discovery(plane: Plane) -> None:
    metadata = plane.open_model(
        "AuthorizationServer",
        "The metadata of the authorization server (RFC 8414).",
        "issuer authorization_endpoint token_endpoint jwks_uri",
        issuer=TEXT,
        authorization_endpoint=TEXT,
        token_endpoint=TEXT,
        device_authorization_endpoint=TEXT,
        revocation_endpoint=TEXT,
        jwks_uri=TEXT,
        grant_types_supported=several(TEXT),
        code_challenge_methods_supported=several(TEXT),
    )
    keys = plane.model(
        "SigningKeySet", "The keys that sign access tokens (RFC 7517).", "keys", keys=several({"type": "object"})
    )
    known = plane.open_model(
        "WellKnownConfiguration",
        "The command that asks for a key, and a base configuration, for `opencode auth login <host>`.",
        auth={"type": "object"},
        config={"type": "object"},
    )
    fault = service_fault(plane)
    documents: tuple[tuple[str, str, str, str, Schema, Any], ...] = (
        (
            "/.well-known/oauth-authorization-server",
            LOGINS,
            "Discover the authorization server",
            "Return the addresses and abilities of the authorization server.",
            metadata,
            None,
        ),
        (
            "/.well-known/jwks.json",
            LOGINS,
            "List keys that sign tokens",
            "Return both keys of the deployment; one of them signs.",
            keys,
            {"keys": []},
        ),
        (
            "/.well-known/opencode",
            CLIENTS,
            "Get the base configuration of clients",
            "Return what `opencode auth login <host>` starts with.",
            known,
            {"auth": {}, "config": {}},
        ),
    )
    for path, tag, summary, text, model, example in documents:
        responses = {"200": answer("The document.", model, example=example), **plane.refusals(fault)}
        plane.add("get", path, operation(tag, summary, text, "none", ANYONE, responses))


def _clients(plane: Plane) -> None:
    fault = service_fault(plane)
    errors = plane.refusals(fault, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND)
    person = plane.model("SignedInPerson", "The person of a token.", "id email", id=TEXT, email=TEXT)
    organization = plane.model("OrganizationName", "A workspace of the person.", "id name", id=TEXT, name=TEXT)
    config = plane.model(
        "RemoteConfiguration", "The workspace's configuration of its clients.", "config", config={"type": "object"}
    )
    second = plane.open_model(
        "SecondConfiguration",
        "The configuration in the form of later clients.",
        providers=ANY,
        experimental=ANY,
    )
    listing: Schema = {"type": "object", "additionalProperties": True}
    org = [workspace_header()]
    documents: tuple[tuple[str, str, str, Schema, Any], ...] = (
        ("/api/user", "Get the signed-in person", "Return the person of the token.", person, None),
        (
            "/api/orgs",
            "List workspaces of a client",
            "A client that logs in starts with the first, by name.",
            several(organization),
            None,
        ),
        (
            "/api/config",
            "Get the configuration of a client",
            "opencode uses it at every start. `ETag` is sent.",
            config,
            {"config": {}},
        ),
        (
            "/api/v2/config",
            "Get the configuration of a later client",
            "As `/api/config`, for later clients.",
            second,
            {"providers": {}, "experimental": {}},
        ),
    )
    for path, summary, text, model, example in documents:
        in_workspace = path.endswith("config")
        responses = {"200": answer("The document.", model, example=example), **errors}
        needs, security = ("remote_config:read", MEMBER) if in_workspace else ("account", PERSON)
        made = operation(CLIENTS, summary, text, needs, security, responses, parameters=org if in_workspace else ())
        plane.add("get", path, made)
    for path, summary, text in (
        (
            "/api.json",
            "List models for clients",
            "For `OPENCODE_MODELS_URL`: all models of the catalogue, by provider.",
        ),
        (
            "/catalogue/{token}/api.json",
            "List models of a workspace for clients",
            "The models that the workspace's policy permits. The address is a secret of the workspace.",
        ),
    ):
        responses = {
            "200": answer("The list.", listing, example={}),
            **plane.refusals(fault, HTTPStatus.NOT_FOUND),
        }
        plane.add("get", path, operation(CLIENTS, summary, text, "none", ANYONE, responses))
