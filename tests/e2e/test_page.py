"""The page of a share in a real browser: contents, live updates, and hostile content."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, WebSocketRoute, expect

from tests.integration.publisher import new_session_id
from tests.unit.sharing.conversation import BEGIN, Item, assistant, conversation, item, part, session, tool, user

from .browser import Cable

pytestmark = pytest.mark.e2e
PATIENCE = 60_000  # milliseconds; each step takes well under a second on an idle machine

# The transcript as data, without permitted differences: open details, URLs of items, white space between elements, and
# the colors of code, which come when a reader comes near.
OUTLINE = """() => [...document.querySelectorAll("#share, #share *:not(noscript, [class^=hljs])")].map((node) => [
  node.tagName,
  [...node.attributes].map(({name, value}) => `${name}=${value}`)
    .filter((each) => !(node.id === "share" ? /^data-seq=/ : /^(open|data-href)=/).test(each)).sort(),
  node.localName === "code" ? [node.textContent.trim()]
    : [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data.trim()).filter(Boolean),
])"""


class Stack(Protocol):
    """The parts of the deployed local stage that these tests need."""

    @property
    def url(self) -> str: ...


@dataclass
class Shared:
    """A shared session, published over plain HTTP."""

    http: httpx.Client
    id: str
    secret: str
    seq: int = 0

    @property
    def path(self) -> str:
        return f"/share/{self.id}"

    def publish(self, *items: Item) -> None:
        data = [{"type": each.type, "data": json.loads(each.data)} for each in items]
        answer = self.http.post(f"/api/share/{self.id}/sync", json={"secret": self.secret, "data": data})
        answer.raise_for_status()
        self.seq = answer.json()["seq"]

    def unshare(self) -> None:
        self.http.request("DELETE", f"/api/share/{self.id}", json={"secret": self.secret}).raise_for_status()


@dataclass
class Reader:
    """A reader of a share. ``complaints`` holds errors of the page, ``asked`` the URLs that it fetched."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])

    def open(self, shared: Shared) -> None:
        self.page.goto(self.origin + shared.path)
        self.is_told("Live")

    def is_told(self, words: str) -> None:
        expect(self.page.locator("#status")).to_have_text(words, timeout=PATIENCE)

    def sees(self, words: str) -> None:
        expect(self.page.locator("#share")).to_contain_text(words, timeout=PATIENCE)

    def outline(self) -> list[Any]:
        return self.page.evaluate(OUTLINE)


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        yield client


@pytest.fixture
def shared(http: httpx.Client) -> Shared:
    made = http.post("/api/share", json={"sessionID": new_session_id()})
    made.raise_for_status()
    return Shared(http, made.json()["id"], made.json()["secret"])


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1000, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def reader(context: BrowserContext, stack: Stack) -> Reader:
    return watch(context.new_page(), stack.url)


def watch(page: Page, origin: str) -> Reader:
    reader = Reader(page, origin)

    def refuse(dialog: Dialog) -> None:
        reader.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def listen(said: ConsoleMessage) -> None:
        if "Content Security" in said.text:
            reader.complaints.append(said.text)

    page.on("dialog", refuse)
    page.on("console", listen)
    page.on("pageerror", lambda error: reader.complaints.append(str(error)))
    page.on("request", lambda request: reader.asked.append(request.url))
    return reader


def picture(length: int) -> str:
    """Return a data URL of about this many bytes that does not compress: a one-pixel PNG followed by noise."""
    pixel = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    return "data:image/png;base64," + base64.b64encode(pixel + random.Random(1).randbytes(length * 3 // 4)).decode()


def test_the_first_answer_already_shows_the_conversation(shared: Shared, http: httpx.Client) -> None:
    shared.publish(*conversation())
    html = http.get(shared.path, headers={"accept": "text/html"}).text
    for words in ("twenty turns", "Write two files, please.", "Here they are.", "$ echo hi 1"):
        assert words in html


def test_what_is_published_appears_without_a_reload(shared: Shared, reader: Reader) -> None:
    reader.open(shared)
    shared.publish(session(title="a first title"), user(), part("msg_1", "prt_1", "text", text="a question"))
    reader.sees("a question")
    expect(reader.page).to_have_title("a first title · Opencode Cloud")
    shared.publish(assistant(), part("msg_2", "prt_2", "text", text=""), tool(status="running", output=None))
    expect(reader.page.locator("details[data-status=running]")).to_contain_text("bash")
    shared.publish(part("msg_2", "prt_2", "text", text="an answer"), tool(), session(title="a better title"))
    reader.sees("an answer")
    expect(reader.page.locator("details[data-status=completed]")).to_contain_text("0.2 s")
    expect(reader.page).to_have_title("a better title · Opencode Cloud")
    assert reader.complaints == []


def test_an_empty_share_says_after_a_minute_that_its_upload_was_probably_refused(
    shared: Shared, reader: Reader
) -> None:
    upload = {"secret": shared.secret, "data": [{"type": "part", "data": {"text": "x" * 6_300_000}}]}
    assert shared.http.post(f"/api/share/{shared.id}/sync", json=upload).status_code == 413
    reader.page.clock.install()
    reader.open(shared)
    notice = reader.page.locator("#silent")
    expect(notice).to_be_hidden()
    reader.page.clock.run_for(61_000)
    expect(notice).to_contain_text("6 MB in one upload")
    shared.publish(session(title="smaller"))
    reader.sees("smaller")
    expect(notice).to_have_count(0)
    assert reader.complaints == []


def test_what_was_followed_live_looks_like_what_is_loaded(shared: Shared, reader: Reader) -> None:
    reader.open(shared)
    items: list[Item] = [*conversation(), item("hologram", {"x": 1}), part("msg_0", "prt_0", "text", text="an orphan")]
    random.Random(7).shuffle(items)
    for start in range(0, len(items), 4):
        shared.publish(*items[start : start + 4])
    expect(reader.page.locator(".part")).to_have_count(sum(each.type == "part" for each in items), timeout=PATIENCE)
    reader.sees("f2.txt")
    followed = reader.outline()
    reader.page.reload()
    reader.is_told("Live")
    assert reader.outline() == followed


def test_a_reader_whose_connection_is_cut_catches_up(shared: Shared, context: BrowserContext, stack: Stack) -> None:
    cable = Cable(stack.url)
    reader = watch(context.new_page(), cable.url)
    shared.publish(user(), part("msg_1", "prt_1", "text", text="before"))
    reader.open(shared)
    cable.pull()
    reader.is_told("Reconnecting")
    shared.publish(part("msg_1", "prt_2", "text", text="meanwhile"))
    shared.publish(part("msg_1", "prt_1", "text", text="corrected"))
    cable.plug()
    reader.sees("meanwhile")
    reader.sees("corrected")
    reader.is_told("Live")
    shared.publish(part("msg_1", "prt_3", "text", text="afterwards"))
    reader.sees("afterwards")
    assert reader.complaints == []
    cable.close()


def test_a_reader_without_a_network_is_told_and_resumes(
    shared: Shared, reader: Reader, context: BrowserContext
) -> None:
    reader.open(shared)
    context.set_offline(True)
    reader.is_told("Offline")
    shared.publish(user(), part("msg_1", "prt_1", "text", text="while you were away"))
    context.set_offline(False)
    reader.sees("while you were away")
    reader.is_told("Live")


@pytest.mark.slow
def test_a_reader_who_can_have_no_socket_polls(shared: Shared, reader: Reader) -> None:
    def refuse(route: WebSocketRoute) -> None:
        route.close(code=1011)

    reader.page.route_web_socket("**/live", refuse)
    shared.publish(session(), user())
    reader.page.goto(reader.origin + shared.path)
    reader.is_told("Live, with delay")
    shared.publish(part("msg_1", "prt_1", "text", text="by polling"))
    reader.sees("by polling")
    shared.unshare()
    reader.is_told("No longer shared")


def test_a_page_of_a_share_that_goes_says_so_and_shows_nothing_more(
    shared: Shared, reader: Reader, http: httpx.Client
) -> None:
    shared.publish(*conversation())
    reader.open(shared)
    reader.sees("Here they are.")
    shared.unshare()
    reader.is_told("No longer shared")
    reader.sees("This session is no longer shared")
    assert "Here they are." not in reader.page.content()
    answer = reader.page.reload()
    assert answer
    assert answer.status == 410
    expect(reader.page.locator("h1")).to_have_text("No longer shared")
    assert http.get(shared.path, headers={"accept": "text/html"}).status_code == 410


def test_an_address_without_a_share_is_not_found(reader: Reader) -> None:
    answer = reader.page.goto(f"{reader.origin}/share/{'x' * 22}")
    assert answer
    assert answer.status == 404
    expect(reader.page.locator("h1")).to_have_text("No session here")
    assert reader.complaints == []


def test_the_short_address_leads_to_the_page(shared: Shared, reader: Reader) -> None:
    shared.publish(session())
    reader.page.goto(f"{reader.origin}/s/{shared.id}")
    assert reader.page.url == reader.origin + shared.path
    reader.sees("twenty turns")


def hostile(prefix: str) -> list[Item]:
    run = "window.pwned=1;alert(1)"
    words = (
        f"<script>{run}</script><img src=x onerror='{run}'><svg onload='{run}'></svg>"
        f'"><iframe srcdoc="<script>parent.{run}</script>"></iframe><a href="javascript:{run}">x</a>'
        "<style>*{display:none}</style><link rel=stylesheet href=https://evil.invalid/x.css><base href=//evil.invalid>"
    )
    svg = base64.b64encode(f"<svg xmlns='http://www.w3.org/2000/svg' onload='{run}'/>".encode()).decode()
    urls = [
        "https://evil.invalid/spy.png",
        f"data:image/svg+xml;base64,{svg}",
        f"javascript:{run}",
        f"data:text/html,<script>{run}</script>",
        f'data:image/png;base64,AAAA" onerror="{run}',
    ]
    files = [{"mime": "image/png", "filename": words, "url": url} for url in urls]
    return [
        session(title=words, version=words),
        item("model", [{"id": words, "name": words}]),
        item("session_diff", [{"file": words, "patch": f"+{words}", "status": words}]),
        user(f"{prefix}_1", role=words, agent=words),
        assistant(f"{prefix}_2", error={"name": words, "data": {"message": words}}, modelID=words),
        part(f"{prefix}_1", "prt_1", "text", text=words),
        part(f"{prefix}_1", words, "reasoning", text=words),
        part(f"{prefix}_1", "prt_3", words),
        tool(f"{prefix}_2", "prt_4", tool=words, title=words, input={words: words}, output=words, attachments=files),
        *(
            part(f"{prefix}_1", f"prt_5{n}", "file", mime="image/png", filename=words, url=url)
            for n, url in enumerate(urls)
        ),
        part("__proto__", "constructor", "text", text="an id with a meaning"),
    ]


def test_hostile_content_runs_nothing_and_reaches_nobody(shared: Shared, reader: Reader) -> None:
    shared.publish(*hostile("msg_a"))
    reader.open(shared)
    shared.publish(*hostile("msg_b"))
    expect(reader.page.locator(".message")).to_have_count(5, timeout=PATIENCE)
    reader.sees("an id with a meaning")
    for details in reader.page.query_selector_all("details"):
        details.evaluate("(node) => (node.open = true)")
    reader.page.wait_for_timeout(500)
    assert reader.page.evaluate("window.pwned") is None
    assert reader.page.locator("#share :is(script, iframe, svg, style, link, base, img)").count() == 0
    own_or_marked = (
        ":is([href='#changes'], [href^='#m-'], [href^='#p-'], [rel='nofollow noopener noreferrer'][href^='http'])"
    )
    assert reader.page.locator(f"#share a:not({own_or_marked})").count() == 0
    assert foreign(reader.asked, reader.origin) == []
    followed = reader.outline()
    reader.page.reload()
    reader.is_told("Live")
    assert reader.outline() == followed
    assert reader.complaints == []


def foreign(addresses: Iterable[str], origin: str) -> list[str]:
    return [address for address in addresses if not address.startswith((f"{origin}/", "data:"))]


@pytest.mark.parametrize("length", [50_000, 2_000_000], ids=["by reference", "from the object store"])
def test_a_large_picture_is_shown_live_and_loaded(shared: Shared, reader: Reader, length: int) -> None:
    shared.publish(user())
    reader.open(shared)
    shared.publish(part("msg_1", "prt_1", "file", mime="image/png", filename="large.png", url=picture(length)))
    image = reader.page.locator("figure img")
    expect(image).to_have_js_property("naturalWidth", 1, timeout=PATIENCE)
    reader.page.reload()
    expect(image).to_have_js_property("naturalWidth", 1, timeout=PATIENCE)
    assert reader.complaints == []


def test_a_task_leads_to_the_share_of_its_sub_agent(shared: Shared, http: httpx.Client, reader: Reader) -> None:
    child_session = new_session_id()
    made = http.post("/api/share", json={"sessionID": child_session}).json()
    Shared(http, made["id"], made["secret"]).publish(session(title="The sub-agent"))
    started: dict[str, Any] = {"input": {"prompt": "Look around"}, "metadata": {"sessionId": child_session}}
    shared.publish(user(), assistant(), tool(tool="task", **started, status="running"))
    reader.open(shared)
    link = reader.page.get_by_role("link", name="Session of the sub-agent")
    expect(link).to_have_count(1)
    shared.publish(tool(tool="task", **started, output="Nothing found"))
    reader.sees("Nothing found")
    reader.page.locator("summary", has_text="task").first.click()
    assert child_session not in reader.page.content()
    link.click()
    expect(reader.page.locator("#title")).to_have_text("The sub-agent", timeout=PATIENCE)


def test_a_reader_keeps_open_what_they_opened(shared: Shared, reader: Reader) -> None:
    shared.publish(user(), assistant(), tool(status="running", output="first"))
    reader.open(shared)
    reader.page.locator("details summary").click()
    shared.publish(tool(output="first and second"))
    expect(reader.page.locator("pre.output")).to_have_text("first and second", timeout=PATIENCE)
    expect(reader.page.locator("details")).to_have_js_property("open", True)


class ScriptedSocket:
    """The other end of the page's socket, controlled by the test. ``asked`` holds the page's messages."""

    def __init__(self, page: Page) -> None:
        self.asked: list[dict[str, Any]] = []
        self.sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/live", self._accept)

    def _accept(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(lambda message: self.asked.append(json.loads(message)))

    def say(self, **frame: Any) -> None:
        self.sockets[-1].send(json.dumps(frame))

    def text(self, seq: int, words: str, *, at: int = BEGIN, name: str = "") -> dict[str, Any]:
        data = {"id": name or f"prt_{seq}", "messageID": "msg_1", "type": "text", "text": words}
        return {"seq": seq, "at": at, "key": f"part/msg_1/{data['id']}", "type": "part", "data": data}

    def is_asked(self, page: Page, *expected: dict[str, Any]) -> None:
        for _ in range(PATIENCE // 50):
            if len(self.asked) >= len(expected):
                break
            page.wait_for_timeout(50)
        assert self.asked == list(expected)


@pytest.fixture
def socket(reader: Reader, shared: Shared) -> ScriptedSocket:
    scripted = ScriptedSocket(reader.page)
    shared.publish(user())
    reader.page.goto(reader.origin + shared.path)
    scripted.is_asked(reader.page, {"action": "resume", "share": shared.id, "after": 1})
    scripted.asked.clear()
    return scripted


def test_a_frame_that_is_overtaken_costs_no_resume(reader: Reader, socket: ScriptedSocket) -> None:
    socket.say(type="ready", seq=1)
    socket.say(type="items", after=2, seq=3, items=[socket.text(3, "the early one")])
    socket.say(type="items", after=1, seq=2, items=[socket.text(2, "the late one")])
    reader.sees("the late one")
    reader.sees("the early one")
    reader.page.wait_for_timeout(500)
    assert socket.asked == []


def test_a_frame_that_is_lost_is_asked_for(reader: Reader, shared: Shared, socket: ScriptedSocket) -> None:
    socket.say(type="ready", seq=1)
    socket.say(type="items", after=2, seq=3, items=[socket.text(3, "after the gap")])
    resume = {"action": "resume", "share": shared.id, "after": 1}
    socket.is_asked(reader.page, resume)
    socket.say(type="items", after=1, seq=3, items=[socket.text(2, "the gap"), socket.text(3, "after the gap")])
    socket.say(type="ready", seq=3)
    reader.sees("the gap")
    reader.is_told("Live")
    reader.page.wait_for_timeout(500)
    assert socket.asked == [resume]


def old_message(seq: int, *words: str) -> dict[str, Any]:
    """Return an item of the first generation: a message with its parts inside."""
    parts = [{"type": "text", "text": each} for each in words]
    data = {"id": "msg_2", "role": "assistant", "parts": parts, "metadata": {"time": {"created": BEGIN + 1}}}
    return {"seq": seq, "at": BEGIN, "key": "message/msg_2", "type": "message", "data": data}


def whole_session(seq: int, **messages: str) -> dict[str, Any]:
    """Return an item of the second generation: all messages, each with a text."""
    texts = [
        {"id": name, "type": "assistant", "content": [{"type": "text", "text": text}], "time": {"created": BEGIN + 2}}
        for name, text in messages.items()
    ]
    return {"seq": seq, "at": BEGIN, "key": "messages", "type": "messages", "data": {"messages": texts}}


def test_a_removed_part_of_an_old_client_leaves_the_page_without_a_reload(
    reader: Reader, socket: ScriptedSocket
) -> None:
    socket.say(type="ready", seq=1)
    socket.say(type="items", after=1, seq=2, items=[old_message(2, "a first", "a second", "a third")])
    reader.sees("a third")
    shorter = [socket.text(3, "of its own"), old_message(4, "a first")]
    socket.say(type="items", after=2, seq=4, items=shorter)
    expect(reader.page.locator("#m-msg_2 .part")).to_have_count(1, timeout=PATIENCE)
    reader.sees("a first")
    socket.say(type="items", after=2, seq=5, items=[old_message(2, "a first", "a second"), socket.text(5, "and on")])
    reader.sees("and on")
    expect(reader.page.locator("#m-msg_2 .part")).to_have_count(1)
    reader.sees("of its own")
    socket.say(type="items", after=5, seq=6, items=[old_message(6, "a first", "another second")])
    reader.sees("another second")
    assert reader.complaints == []


def test_a_message_that_a_whole_session_no_longer_has_leaves_the_page(reader: Reader, socket: ScriptedSocket) -> None:
    socket.say(type="ready", seq=1)
    socket.say(type="items", after=1, seq=2, items=[whole_session(2, msg_2="one", msg_3="two"), socket.text(3, "mine")])
    reader.sees("two")
    socket.say(type="items", after=2, seq=4, items=[whole_session(4, msg_2="one more")])
    reader.sees("one more")
    expect(reader.page.locator("#m-msg_3")).to_have_count(0)
    socket.say(type="items", after=4, seq=5, items=[whole_session(2, msg_2="one", msg_3="two"), socket.text(5, "on")])
    reader.sees("on")
    expect(reader.page.locator("#m-msg_3")).to_have_count(0)
    reader.sees("mine")
    assert reader.complaints == []


def test_an_earlier_arrival_does_not_replace_a_later_one(reader: Reader, socket: ScriptedSocket) -> None:
    socket.say(type="ready", seq=1)
    socket.say(type="items", after=1, seq=2, items=[socket.text(2, "arrived later", at=BEGIN + 9, name="prt_1")])
    socket.say(type="items", after=2, seq=3, items=[socket.text(3, "arrived earlier", at=BEGIN, name="prt_1")])
    socket.say(type="items", after=3, seq=4, items=[socket.text(4, "another")])
    reader.sees("another")
    reader.sees("arrived later")


def test_frames_and_items_of_unknown_types_are_passed_over(reader: Reader, socket: ScriptedSocket) -> None:
    socket.say(type="ready", seq=1, mood="good")
    socket.say(type="weather", degrees=21)
    hologram = {"seq": 2, "at": BEGIN, "key": "hologram", "type": "hologram", "data": None}
    socket.say(type="items", after=1, seq=3, items=[hologram, socket.text(3, "and on")])
    reader.sees("and on")
    reader.is_told("Live")
    assert len(socket.sockets) == 1


def test_a_server_in_trouble_is_left_alone_for_a_moment(reader: Reader, shared: Shared, socket: ScriptedSocket) -> None:
    socket.say(message="Internal server error", connectionId="x", requestId="y")
    reader.is_told("Reconnecting")
    socket.is_asked(reader.page, {"action": "resume", "share": shared.id, "after": 1})
    socket.say(type="error", code="unavailable", status=503, message="Later.", id=None)
    for _ in range(100):
        if len(socket.sockets) == 3:
            break
        reader.page.wait_for_timeout(100)
    assert len(socket.sockets) == 3


def test_a_share_that_goes_while_it_is_read_is_gone(reader: Reader, shared: Shared, socket: ScriptedSocket) -> None:
    socket.say(type="gone", share=shared.id)
    reader.is_told("No longer shared")
    reader.page.wait_for_timeout(1_000)
    assert len(socket.sockets) == 1
