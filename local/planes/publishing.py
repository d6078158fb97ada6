"""The public routes of clients that share sessions, and of operators (docs/protocol.md)."""

from __future__ import annotations

from http import HTTPStatus

from local.planes.parts import (
    ANY,
    ANYONE,
    MEMBER,
    NUMBER,
    OPERATOR,
    OPERATORS,
    READER,
    TEXT,
    Plane,
    Schema,
    answer,
    body,
    maybe,
    one_of,
    operation,
    said,
    service_fault,
    several,
    workspace_header,
)

PUBLISHING = "Publishing"
_REFUSED = (
    *(HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
    *(HTTPStatus.NOT_FOUND, HTTPStatus.GONE),
)


def publishing() -> Plane:
    """Return the description of publishing, and of the operators' routes."""
    plane = Plane()
    fault = service_fault(plane)
    _publish(plane, fault)
    _operate(plane, fault)
    return plane


def _publish(plane: Plane, fault: Schema) -> None:
    created = plane.model("NewShare", "The session to share.", "sessionID", sessionID=said(TEXT, "The client's id."))
    credentials = plane.model(
        "ShareCredentials",
        "A share and its secret. A client with the secret may publish to the share and remove it.",
        "id url secret",
        id=TEXT,
        url=TEXT,
        secret=TEXT,
    )
    item = plane.model(
        "PublishedItem",
        "One version of one object of a session. The server derives the object's key from `type` and `data`.",
        "type data",
        type=said(TEXT, "`session`, `message`, `part`, `session_diff`, `model`, or any other text."),
        data=said(ANY, "Any JSON; it is kept as it is, except for ids of sessions and for secrets."),
    )
    batch = plane.model("ItemBatch", "Items that are committed together.", "data", secret=TEXT, data=several(item))
    committed = plane.model("CommittedBatch", "A durable batch.", "seq", seq=said(NUMBER, "Number of its last item."))
    secret = plane.model("ShareSecret", "The right to remove a share.", secret=TEXT)
    nothing = plane.model("NothingMore", "An empty object.")
    for path, owned in (("/api/share", False), ("/api/shares", True)):
        whose = " with an account" if owned else ""
        needs, security = ("share:own", MEMBER) if owned else ("none", ANYONE)
        by_secret, parameters = ("share:own", [workspace_header()]) if owned else ("secret", [])
        plane.add(
            "post",
            path,
            operation(
                PUBLISHING,
                f"Share a session{whose}",
                "Return the share of a session, and create it at the first call. Repeated calls return the same share."
                + (" The share belongs to the sender, within the workspace's policy." if owned else ""),
                needs,
                security,
                {"200": answer("The share.", credentials), **plane.refusals(fault, *_REFUSED)},
                parameters=parameters,
                request=body(created),
            ),
        )
        plane.add(
            "post",
            f"{path}/{{share}}/sync",
            operation(
                PUBLISHING,
                f"Publish items{whose}",
                "Commit a batch of items. It is durable and visible when the answer arrives. After an error nothing of"
                " it is stored. The last arrival of each key wins.",
                by_secret,
                security,
                {
                    "200": answer("The batch is durable.", committed),
                    **plane.refusals(
                        fault, *_REFUSED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE
                    ),
                },
                parameters=parameters,
                request=body(batch),
            ),
        )
        plane.add(
            "delete",
            f"{path}/{{share}}",
            operation(
                PUBLISHING,
                f"Unshare a session{whose}",
                "Remove a share and all its data for everyone. A share that is already gone is no error.",
                by_secret,
                security,
                {"200": answer("The share is gone.", nothing, example={}), **plane.refusals(fault, *_REFUSED)},
                parameters=parameters,
                request=body(secret, required=False),
            ),
        )
        plane.add(
            "get",
            f"{path}/{{share}}/data",
            operation(
                PUBLISHING,
                f"Read the data of a share{whose}",
                "Return the flat array that `opencode import` reads, the session first. Follow redirects.",
                "reader",
                MEMBER if owned else READER,
                {
                    "200": answer("The items.", several(item), example=[{"type": "session", "data": {}}]),
                    "302": answer("The answer is large: GET the address in `Location`."),
                    **plane.refusals(fault, *_REFUSED),
                },
                parameters=parameters,
            ),
        )


def _operate(plane: Plane, fault: Schema) -> None:
    metadata = plane.open_model(
        "ShareMetadata",
        "A share without its content.",
        "share state",
        share=TEXT,
        state=one_of("active", "gone"),
        created_at=NUMBER,
        expires_at=maybe(NUMBER),
        workspace=maybe(TEXT),
        owner=maybe(TEXT),
        mode=maybe(TEXT),
    )
    nothing = {"$ref": "#/components/schemas/NothingMore"}
    path, errors = "/api/admin/shares/{share}", plane.refusals(fault, *_REFUSED)
    for method, address, summary, model in (
        ("get", path, "Look up a share as operator", metadata),
        ("delete", path, "Remove a share as operator", nothing),
        ("post", f"{path}/rescan", "Search a share for secrets as operator", nothing),
    ):
        text = "The secret of the stack's output `AdminSecretArn` is the bearer token."
        responses = {"200": answer("Done.", model, example={} if model is nothing else None), **errors}
        plane.add(method, address, operation(OPERATORS, summary, text, "operator", OPERATOR, responses))
