"""The public routes of readers of shares (docs/protocol.md, "Reading" and "Comments")."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from local.examples.common import SHARE
from local.planes.parts import (
    ANY,
    ANYONE,
    NUMBER,
    OPERATORS,
    PERSON,
    READER,
    TEXT,
    TRUTH,
    Plane,
    Schema,
    answer,
    body,
    maybe,
    one_of,
    operation,
    query,
    said,
    service_fault,
    several,
)
from opencode_cloud.sharing.protocol.comments import LONGEST_QUOTE, MOST_LINES, DiffSide

READING, COMMENTS = "Reading shares", "Comments"
_LOST = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_REFUSED = (*_LOST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_ITEM = {
    "seq": 42,
    "at": 1_795_423_108_123,
    "key": "part/msg_y/prt_x",
    "type": "part",
    "data": {"id": "prt_x", "messageID": "msg_y", "type": "text", "text": "Hello"},
}
_SESSION: dict[str, Any] = {
    "schema": 1,
    "share": SHARE,
    "seq": 42,
    "session": {"title": "Fix the test"},
    "messages": [],
}
CURSOR = "A cursor of a conversation: `<message id>` or `<message id>/<part id>`."


def reading() -> Plane:
    """Return the description of reading, following and commenting."""
    plane = Plane()
    fault = service_fault(plane)
    _read(plane, fault)
    _follow(plane, fault)
    _comment(plane, fault)
    return plane


def _read(plane: Plane, fault: Schema) -> None:
    item = plane.model(
        "ShareItem",
        "A committed item. A large one has `href` in place of `data`; GET that path of the same host.",
        "seq at key type",
        seq=said(NUMBER, "Its number in the share."),
        at=said(NUMBER, "Its arrival, in milliseconds since the epoch. The largest `(at, seq)` of a key is its state."),
        key=TEXT,
        type=TEXT,
        data=ANY,
        href=TEXT,
    )
    items = plane.model(
        "ShareState",
        "The newest item of each key, complete up to `seq`. If `more` is true, ask again after `seq`.",
        "schema share seq more items",
        schema=NUMBER,
        share=TEXT,
        seq=NUMBER,
        more=TRUTH,
        items=several(item),
    )
    session = plane.open_model(
        "SessionDocument",
        "A session as one document, with messages and parts in order.",
        "schema share seq session messages",
        schema=NUMBER,
        share=TEXT,
        seq=NUMBER,
        session=maybe({"type": "object"}),
        messages=several({"type": "object"}),
    )
    found = plane.model("SearchMatch", "A place with the words.", "anchor snippet", anchor=TEXT, snippet=TEXT)
    matches = plane.model(
        "SearchMatches",
        "The places that hold the words. `next` is the cursor to go on from, and empty at the end.",
        "matches next searched total",
        matches=several(found),
        next=TEXT,
        searched=NUMBER,
        total=NUMBER,
    )
    prompts = plane.model(
        "PromptList",
        "All messages of the user, each as `[message, first words, figures of the turn]`.",
        "prompts",
        prompts=several(several(ANY)),
    )
    embedding = plane.open_model("EmbeddedLink", "oEmbed of the type `link`.", "version type", version=TEXT, type=TEXT)
    health = plane.model("ServiceHealth", "The service answers.", "status", status=TEXT, version=TEXT)
    _get(
        plane,
        fault,
        "/items",
        "Read the items of a share",
        "Return the state after a cursor.",
        items,
        [query("after", "A `seq`: items above it, 0 for all.", NUMBER)],
        {"schema": 1, "share": SHARE, "seq": 42, "more": False, "items": [_ITEM]},
    )
    _get(plane, fault, "/items/{seq}", "Read an item of a share", "Return one item, whole.", item, example=_ITEM)
    _get(
        plane,
        fault,
        "/prompts",
        "List the prompts of a share",
        "Return each message of the user.",
        prompts,
        example={"prompts": [["msg_x", "Fix the test", [5200, 95000, 91000, 1200, 412]]]},
    )
    _get(
        plane,
        fault,
        "/search",
        "Search a share",
        "Search messages and parts for about 2 seconds.",
        matches,
        [
            query("q", "2 to 200 characters; letters in either case are equal.", required=True),
            query("from", CURSOR),
        ],
    )
    _page(
        plane,
        fault,
        "",
        "Read a share",
        session,
        "A page, a document or a transcript, as `Accept` asks. The addresses"
        " `/share/{share}.json` and `/share/{share}.md` ask for the latter two.",
    )
    _page(
        plane,
        fault,
        "/messages",
        "Read a window of messages",
        None,
        "The newest messages as HTML, or others by a parameter.",
    )
    _plain(plane, fault)
    embedded = {"200": answer("The description.", embedding), **plane.refusals(fault, *_REFUSED)}
    described = "Return a description for programs that embed links (oembed.com)."
    address = [query("url", "The address of the share's page.", required=True)]
    plane.add(
        "get",
        "/share/oembed",
        operation(READING, "Describe a share for embedding", described, "reader", READER, embedded, parameters=address),
    )
    alive = {"200": answer("It answers.", health), **plane.refusals(fault)}
    plane.add(
        "get",
        "/health",
        operation(OPERATORS, "Check the health of sharing", "Return the release that runs.", "none", ANYONE, alive),
    )


def _get(
    plane: Plane,
    fault: Schema,
    path: str,
    summary: str,
    text: str,
    model: Schema,
    parameters: Iterable[Schema] = (),
    example: Any = None,
) -> None:
    responses = {
        "200": answer("The document.", model, example=example),
        "302": answer("The answer is large: GET the address in `Location`."),
        **plane.refusals(fault, *_REFUSED),
    }
    made = operation(READING, summary, text, "reader", READER, responses, parameters=parameters)
    plane.add("get", f"/share/{{share}}{path}", made)


def _page(plane: Plane, fault: Schema, path: str, summary: str, model: Schema | None, text: str) -> None:
    others = {"markdown": "A readable transcript."} if model else {}
    example = _SESSION if model else None
    responses = {
        "200": answer("The share.", model, example=example, html="A page.", **others),
        **plane.refusals(fault, *_REFUSED),
    }
    windows = [
        query("before", f"The messages that end at a cursor. {CURSOR}"),
        query("since", "The messages that begin at a cursor."),
        query("at", "The messages around a cursor."),
        query("from", "`beginning`: the first messages."),
    ]
    made = operation(READING, summary, text, "reader", READER, responses, parameters=windows)
    plane.add("get", f"/share/{{share}}{path}", made)


def _plain(plane: Plane, fault: Schema) -> None:
    """Add the routes that answer neither a document nor a page."""
    card, short = "/share/{share}/card.png", "/s/{share}"
    errors = plane.refusals(fault, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
    picture, redirect = answer("1200 by 630 pixels."), answer("To the page of the share.")
    picture["content"] = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
    for path, summary, text, status, done in (
        (card, "Get the picture of a share", "It says nothing about a restricted share.", "200", picture),
        (short, "Follow a short link", "The legacy address of a share.", "302", redirect),
    ):
        plane.add("get", path, operation(READING, summary, text, "none", ANYONE, {status: done, **errors}))


def _follow(plane: Plane, fault: Schema) -> None:
    ticket = plane.model(
        "ShareTicket",
        "A ticket for the socket, and for the header `x-share-ticket`. Null where the share needs none.",
        "ticket expires_in",
        ticket=maybe(TEXT),
        expires_in=maybe(said(NUMBER, "Seconds.")),
    )
    password = plane.model("SharePassword", "The password of a share.", "password", password=TEXT)
    tickets = {"200": answer("The ticket.", ticket), **plane.refusals(fault, *_REFUSED)}
    plane.add(
        "post",
        "/share/{share}/ticket",
        operation(
            READING,
            "Get a ticket of a share",
            "Return a ticket of ten minutes to a reader with a credential or a ticket.",
            "reader",
            READER,
            tickets,
        ),
    )
    plane.add(
        "post",
        "/share/{share}/unlock",
        operation(
            READING,
            "Unlock a share",
            "Return a ticket of 12 hours for a password. A form gets a cookie and a redirect.",
            "none",
            ANYONE,
            tickets,
            request=body(password),
        ),
    )
    action = plane.open_model(
        "LiveAction",
        "A message of a client on the socket: `resume` and `ping` follow a share, `sync` publishes.",
        "action share",
        action=one_of("resume", "ping", "sync"),
        share=TEXT,
        after=said(NUMBER, "The client's cursor."),
        ticket=TEXT,
        secret=TEXT,
        id=said(TEXT, "Any text of the client; it comes back in the `ack`."),
        items=several({"$ref": "#/components/schemas/PublishedItem"}),
    )
    frame = plane.open_model(
        "LiveFrame",
        "A message of the server. Ignore unknown types and members.",
        "type",
        type=one_of("items", "ready", "snapshot", "gone", "comments", "pong", "ack", "error"),
        after=NUMBER,
        seq=NUMBER,
        items=several({"$ref": "#/components/schemas/ShareItem"}),
        href=TEXT,
        share=TEXT,
        id=maybe(TEXT),
        code=TEXT,
        status=NUMBER,
        message=TEXT,
    )
    live = operation(
        READING,
        "Follow shares on a socket",
        "A WebSocket. Each message is a text frame with one JSON object: a client sends `LiveAction`, the server sends"
        " `LiveFrame`. `docs/protocol.md` has the rules of the cursor.",
        "none",
        ANYONE,
        {"101": answer("The socket is open."), **plane.refusals(fault)},
    )
    plane.add("get", "/live", {**live, "x-websocket": {"sends": frame, "receives": action}})


def _comment(plane: Plane, fault: Schema) -> None:
    place: dict[str, Schema] = {
        "file": said(
            TEXT, "The name of the file as the page shows it; empty if the change names none, and for `text`."
        ),
        "first": said(NUMBER, "The first line."),
        "last": said(NUMBER, "The last line."),
        "side": said(
            one_of(*DiffSide), "The file before the change, or after it. `text`: a block of code or output, no change."
        ),
        "change": said(NUMBER, "The number of the change of the file, or of the block, in the item. It begins with 1."),
    }
    lines = plane.model(
        "CommentedLines",
        "Lines of a change or a block, as they were at the time of the remark.",
        "file first last side change quote length outdated",
        **place,
        quote=said(TEXT, f"The beginning of their text, at most {LONGEST_QUOTE} characters."),
        length=said(NUMBER, "Characters of their text."),
        outdated=said(TRUTH, "Whether the item shows another text there now, or no such lines."),
    )
    wanted = plane.model(
        "WantedLines",
        f"Up to {MOST_LINES} lines of a change or a block. Without `last` it is one line, without `side` the new one.",
        "file first",
        **place,
        quote=maybe(said(TEXT, "The text that you saw. The answer is 409 if its beginning is another one now.")),
    )
    comment = plane.model(
        "ShareComment",
        "A remark on lines of a change or a block, a message, a part or the session.",
        "id item name text created_at resolved lines",
        id=TEXT,
        item=said(TEXT, "The key of the message or part, `session_diff` for the files changed; empty for the session."),
        name=TEXT,
        text=TEXT,
        created_at=said(NUMBER, "Milliseconds since the epoch."),
        resolved=TRUTH,
        lines=maybe(lines),
    )
    written = plane.model("NewComment", "A remark to make.", "text", text=TEXT, item=TEXT, lines=maybe(wanted))
    settled = plane.model("CommentResolution", "Whether a remark is settled.", "resolved", resolved=TRUTH)
    one = plane.model("CommentAnswer", "One remark.", "comment", comment=comment)
    many = plane.model("CommentList", "Remarks in the order of creation.", "comments", comments=several(comment))
    errors = plane.refusals(fault, *_REFUSED)
    full = plane.refusals(fault, HTTPStatus.CONFLICT)
    path = "/share/{share}/comments"
    nothing = {"$ref": "#/components/schemas/NothingMore"}
    for method, address, summary, text, responses, request in (
        ("get", path, "List comments of a share", "Return the comments.", {"200": answer("The comments.", many)}, None),
        (
            "post",
            path,
            "Comment on a share",
            "Members of the workspace comment, where the owner allows it.",
            {"201": answer("The comment.", one), **full},
            body(written),
        ),
        (
            "post",
            path + "/{comment}",
            "Resolve a comment",
            "Mark a comment as settled, or as open again.",
            {"200": answer("The comment.", one)},
            body(settled),
        ),
        (
            "delete",
            path + "/{comment}",
            "Delete a comment",
            "For its author, the owner of the share, and admins.",
            {"200": answer("It is gone.", nothing, example={})},
            None,
        ),
    ):
        needs, security = ("reader", READER) if method == "get" else ("share:view", PERSON)
        made = operation(COMMENTS, summary, text, needs, security, {**responses, **errors}, request=request)
        plane.add(method, address, made)
