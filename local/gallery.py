"""The gallery: a session with every kind of part in every state, as clients publish it. `DEMO=1 make dev` shares it.

Its data is made up. Tests render it on both sides, and take its pictures.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

Item: TypeAlias = dict[str, Any]

SESSION = "ses_ga11e4ba5edemoGalleryShare"
BEGIN = 1_795_903_200_000  # 2026-11-28 22:00 UTC
HOME = "/home/ada/shop"
MODEL = {"providerID": "anthropic", "modelID": "claude-sonnet-5"}
TITLE = "Wrong totals in the shopping cart"
CODE = '''def total(items: list[Item]) -> int:
    """Return the sum of all items, in cents."""
    result = 0
    for item in items:
        result += item.price * item.quantity
    return result
'''
PATCH = """Index: shop/cart.py
===================================================================
--- shop/cart.py
+++ shop/cart.py
@@ -1,7 +1,9 @@
 def total(items):
-    \"\"\"Sum of all items.\"\"\"
-    result = 0.0
+    \"\"\"Return the sum of all items, in cents.\"\"\"
+    result = 0
     for item in items:
-        result += item.price * item.qty
+        if item.quantity < 0:
+            raise ValueError("negative quantity")
+        result += item.price * item.quantity
     return result
"""
ADDED = """diff --git a/tests/test_cart.py b/tests/test_cart.py
new file mode 100644
--- /dev/null
+++ b/tests/test_cart.py
@@ -0,0 +1,4 @@
+from shop.cart import total
+
+def test_total():
+    assert total([]) == 0
"""
MARKDOWN = f"""## What was wrong

The cart summed **floats**, so `0.1 + 0.2` was not `0.3`. I changed three things:

1. Prices are integers, in *cents*
2. Negative quantities raise `ValueError`
3. A test for each currency

```python
{CODE}```

| currency | before | after |
|---|---:|---:|
| EUR | 30.000000000000004 | 30.00 |
| JPY | 3000.0 | 3000 |

> The database column is still `DECIMAL(10,2)`.

See [the docs](https://docs.python.org/3/library/decimal.html), https://example.com/rounding, and ~~float~~.

- [x] cart.py
- [ ] invoices.py

```mermaid
graph LR
  cart --> invoice
```

The total is $\\sum_{{i=1}}^n p_i q_i$ and costs $5.
"""
TODOS = [
    {"content": "Find the wrong sum", "status": "completed", "priority": "high", "id": "1"},
    {"content": "Use cents", "status": "in_progress", "priority": "high", "id": "2"},
    {"content": "Write tests", "status": "pending", "priority": "medium", "id": "3"},
    {"content": "Rewrite the shop", "status": "cancelled", "priority": "low", "id": "4"},
]
ERRORS: tuple[tuple[str, Item], ...] = (
    ("MessageAbortedError", {"message": "aborted"}),
    ("APIError", {"message": "Rate limit exceeded for claude-sonnet-5", "statusCode": 429, "isRetryable": False}),
    ("ProviderAuthError", {"providerID": "anthropic", "message": "The key was revoked."}),
    ("ContextOverflowError", {"message": "The conversation is longer than the model's context."}),
    ("MessageOutputLengthError", {}),
    ("UnknownError", {"message": "Something else."}),
)


def picture(width: int, height: int) -> str:
    """Return a PNG of colored fields, as a data URL. They compress better than a gradient."""
    reds, greens = (
        [255 * (8 * x // width) // 8 for x in range(width)],
        [255 * (4 * y // height) // 4 for y in range(height)],
    )
    pixels = (bytes((red, green, 160)) for green in greens for red in reds)
    flat = b"".join(pixels)
    rows = b"".join(b"\0" + flat[y * width * 3 : (y + 1) * width * 3] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Gallery:
    """Makes the items, with ids and times that grow."""

    def __init__(self) -> None:
        self._count = 0

    def items(self) -> list[Item]:
        """Return all items."""
        turns = [item for words, parts, more in self._turns() for item in self._turn(words, parts, **more)]
        undone = self._count + 1
        turns += self._turn("Gallery: undo", [_text("This turn was taken back.")])
        revert = {"messageID": _id("msg", undone), "snapshot": "7c8d", "diff": PATCH}
        changes = [
            {"file": "shop/cart.py", "patch": PATCH, "additions": 5, "deletions": 3, "status": "modified"},
            {"file": "tests/test_cart.py", "patch": ADDED, "additions": 4, "deletions": 0, "status": "added"},
            {
                "file": "shop/old.py",
                "before": "a\nb\n",
                "after": "",
                "additions": 0,
                "deletions": 2,
                "status": "deleted",
            },
        ]
        models = [{"id": MODEL["modelID"], "providerID": MODEL["providerID"], "name": "Claude Sonnet 5"}]
        return [
            {"type": "session", "data": self._session(revert)},
            {"type": "model", "data": models},
            *turns,
            {"type": "session_diff", "data": changes},
            {"type": "hologram", "data": {"id": "h1", "sessionID": SESSION, "x": [1, 2.5, "y"]}},
        ]

    def _next(self, prefix: str) -> str:
        self._count += 1
        return _id(prefix, self._count)

    def _now(self) -> int:
        return BEGIN + self._count * 9_000

    def _session(self, revert: Item) -> Item:
        tokens = {"input": 24_060, "output": 16_900, "reasoning": 2_400, "cache": {"read": 682_400, "write": 44_200}}
        return {
            "id": SESSION,
            "slug": "brave-otter",
            "projectID": "p1",
            "directory": HOME,
            "title": TITLE,
            "version": "1.18.33",
            "time": {"created": BEGIN, "updated": self._now()},
            "summary": {"additions": 9, "deletions": 5, "files": 3},
            "cost": 0.2412,
            "tokens": tokens,
            "revert": revert,
        }

    def _turn(
        self,
        words: str,
        parts: list[Item],
        *,
        files: tuple[Item, ...] = (),
        error: tuple[str, Item] | None = None,
        done: bool = True,
    ) -> list[Item]:
        asked, answered = self._next("msg"), ""
        about = {"id": asked, "sessionID": SESSION, "role": "user", "time": {"created": self._now()}}
        found: list[Item] = [{"type": "message", "data": {**about, "agent": "build", "model": MODEL}}]
        found += [self._part(asked, each) for each in (_text(words), *files)]
        answered, begun = self._next("msg"), self._now()
        time = {"created": begun, **({"completed": begun + 8_400} if done else {})}
        tokens = {"input": 1_203, "output": 845, "reasoning": 120, "cache": {"read": 34_120, "write": 2_210}}
        answer: Item = {
            "id": answered,
            "sessionID": SESSION,
            "role": "assistant",
            "parentID": asked,
            **MODEL,
            "time": time,
        }
        answer |= {"mode": "build", "agent": "build", "path": {"cwd": HOME, "root": HOME}, "cost": 0.0123}
        answer |= {"tokens": tokens, "finish": "stop"}
        if error:
            answer["error"] = {"name": error[0], "data": error[1]}
        found.append({"type": "message", "data": answer})
        return found + [self._part(answered, each) for each in parts]

    def _part(self, message: str, fields: Item) -> Item:
        return {"type": "part", "data": {"id": self._next("prt"), "sessionID": SESSION, "messageID": message, **fields}}

    def _turns(self) -> Iterator[tuple[str, list[Item], Item]]:
        screenshot = {"type": "file", "mime": "image/png", "filename": "cart.png", "url": picture(640, 320)}
        source = {"type": "file", "mime": "text/plain", "filename": "cart.py", "url": f"file://{HOME}/shop/cart.py"}
        invoice = {
            "type": "file",
            "mime": "application/pdf",
            "filename": "a.pdf",
            "url": "data:application/pdf;base64,JVBERg",
        }
        ask = "The total in the cart is wrong for some orders.\nFind out why and fix it. Here is a screenshot."
        yield ask, _fixing(), {"files": (screenshot, source)}
        yield (
            "请用中文解释一下这个错误。",
            [_text("**原因**:代码使用浮点数来计算金额。\n\n- 使用整数(分)\n- 或者 `Decimal`")],
            {},
        )
        yield "Run everything", _running(), {"done": False}
        yield "Change files in every way", _changing(), {}
        yield "Ask, search, delegate", _asking(), {}
        yield (
            "Show files",
            [screenshot, invoice, _tool("screenshot", {"url": "http://localhost"}, "Taken", files=[screenshot])],
            {},
        )
        yield "Events", _events(), {}
        for name, data in ERRORS:
            yield f"Fail: {name}", [_text("Cut off")], {"error": (name, data)}
        yield "An answer that never ended", [{**_text("Half a **sen"), "time": {"start": BEGIN}}], {"done": False}


def _id(prefix: str, number: int) -> str:
    return f"{prefix}_{number:012x}" + "A" * 14


def _text(words: str, **more: Any) -> Item:
    return {"type": "text", "text": words, **more}


def _tool(
    name: str,
    given: Item,
    output: str = "",
    title: str = "",
    *,
    status: str = "completed",
    error: str = "",
    metadata: Item | None = None,
    files: list[Item] | None = None,
    ms: int = 1_800,
) -> Item:
    state: Item = {"status": status, "input": given, "metadata": metadata or {}}
    if status == "pending":
        state["raw"] = json.dumps(given)[:-1]
    else:
        state["time"] = {"start": BEGIN, **({} if status == "running" else {"end": BEGIN + ms})}
    state |= {"title": title} if title else {}
    state |= {"output": output} if status == "completed" else {}
    state |= {"error": error} if error else {}
    state |= {"attachments": files} if files else {}
    return {"type": "tool", "callID": "call_1", "tool": name, "state": state}


def _fixing() -> list[Item]:
    numbered = "".join(f"{n:05}| {line}\n" for n, line in enumerate(CODE.splitlines(), 1))
    passed = "\x1b[32m....................\x1b[0m [100%]\n\x1b[1;32m20 passed\x1b[0m in \x1b[38;5;11m0.43s\x1b[0m\n"
    path = f"{HOME}/shop/cart.py"
    return [
        {"type": "step-start", "snapshot": "1f2e"},
        {
            "type": "reasoning",
            "text": "Probably floating point.\n\nI should grep for `price`.",
            "time": {"start": 1, "end": 2},
        },
        _tool(
            "grep", {"pattern": "price"}, "Found 2 matches\nshop/cart.py:\n  Line 6: result += item.price\n", "price"
        ),
        _tool("glob", {"pattern": "**/*.py"}, f"{path}\n{HOME}/shop/models.py", "**/*.py"),
        _tool("read", {"filePath": path}, f"<file>\n{numbered}</file>", "shop/cart.py"),
        _tool("todowrite", {"todos": TODOS}, json.dumps(TODOS), "2 todos"),
        _tool(
            "edit", {"filePath": path, "oldString": "a", "newString": "b"}, "", "shop/cart.py", metadata={"diff": PATCH}
        ),
        _tool(
            "bash",
            {"command": "pytest -q", "description": "Run the tests"},
            passed,
            "Run the tests",
            metadata={"exit": 0},
        ),
        _text(MARKDOWN),
    ]


def _running() -> list[Item]:
    long = "\n".join(f"line {n}: " + "lorem ipsum dolor sit amet " * 3 for n in range(400))
    mixed = "\x1b[31mred\x1b[0m \x1b[44;97mwhite on blue\x1b[0m \x1b[4munder\x1b[24m \x1b[7minverse\x1b[0m\r\nnext\n"
    rejected = "The user rejected permission to use this specific tool call."
    return [
        _tool("bash", {"command": "make deploy"}, status="pending"),
        _tool(
            "bash", {"command": "make test"}, title="Test", status="running", metadata={"output": "running 3 tests\n"}
        ),
        _tool("bash", {"command": "false"}, "no\n", "Fail", metadata={"exit": 1}),
        _tool("bash", {"command": "seq 1 400"}, long, "Long output", metadata={"exit": 0}, ms=62_000),
        _tool("bash", {"command": "ls --color"}, mixed, "Colors", metadata={"exit": 0}),
        _tool("bash", {"command": "rm -rf build"}, title="Clean", status="error", error=rejected),
        _tool("read", {"filePath": f"{HOME}/missing.py"}, status="error", error=f"File not found: {HOME}/missing.py"),
    ]


def _changing() -> list[Item]:
    path = f"{HOME}/shop/cart.py"
    edits = [{"oldString": "a\nb\nc", "newString": "a\nB\nc"}, {"oldString": "d", "newString": "e"}]
    envelope = (
        "*** Begin Patch\n*** Update File: shop/cart.py\n@@\n-a\n+b\n*** Add File: shop/new.py\n+x = 1\n*** End Patch"
    )
    files = [
        {
            "filePath": path,
            "relativePath": "shop/cart.py",
            "type": "update",
            "diff": PATCH,
            "additions": 5,
            "deletions": 3,
        },
        {
            "filePath": f"{HOME}/shop/new.py",
            "relativePath": "shop/new.py",
            "type": "add",
            "before": "",
            "after": "x = 1\n",
        },
    ]
    error = {"severity": 1, "message": "`qty` is unknown", "range": {"start": {"line": 6, "character": 3}}}
    return [
        _tool("write", {"filePath": f"{HOME}/tests/test_cart.py", "content": CODE}, "Wrote file", "tests/test_cart.py"),
        _tool(
            "edit", {"filePath": path, "oldString": "x = 0.0\ny = 1", "newString": "x = 0\ny = 1"}, "", "shop/cart.py"
        ),
        _tool(
            "multiedit",
            {"filePath": path, "edits": edits},
            "",
            "shop/cart.py",
            metadata={"diagnostics": {path: [error]}},
        ),
        _tool("apply_patch", {"patchText": envelope}, "Updated 2 files", "2 files", metadata={"files": files}),
        _tool("apply_patch", {"patchText": envelope}, "", "2 files"),
        {"type": "patch", "hash": "abc", "files": [path]},
    ]


def _asking() -> list[Item]:
    options = [{"label": "EUR", "description": "Euro"}, {"label": "JPY", "description": "Yen"}]
    question = {"question": "Which currency?", "header": "Currency", "options": options}
    found = "## 1. decimal\nhttps://docs.python.org/3/library/decimal.html\n\nExact arithmetic."
    url = "https://docs.python.org/3/library/decimal.html"
    review = {"description": "Review invoices", "prompt": "Look at `invoices.py`.", "subagent_type": "general"}
    answer = json.dumps({"answer": list(range(12))})
    return [
        _tool("websearch", {"query": "python decimal rounding"}, found, "python decimal rounding"),
        _tool("webfetch", {"url": url, "format": "markdown"}, "# decimal\n\nText of the page.", "decimal docs"),
        _tool(
            "question",
            {"questions": [question]},
            "User answered: EUR",
            "Currency",
            metadata={"answers": [["EUR", "CHF"]]},
        ),
        _tool("question", {"questions": [question]}, title="Currency", status="running"),
        _tool(
            "task",
            review,
            "The module is **fine** but for rounding.",
            "Review invoices",
            metadata={"sessionId": SESSION},
        ),
        _tool("todoread", {}, json.dumps(TODOS), "4 todos"),
        _tool("mytool_lookup", {"query": {"a": 1, "b": [1, 2]}}, answer, "lookup"),
        _tool("skill", {"name": "release"}, "Loaded", "release"),
    ]


def _events() -> list[Item]:
    error = {"name": "APIError", "data": {"message": "Overloaded", "statusCode": 529, "isRetryable": True}}
    return [
        {"type": "agent", "name": "reviewer"},
        {"type": "subtask", "prompt": "Review the cart", "description": "Review", "agent": "reviewer"},
        {"type": "retry", "attempt": 2, "error": error, "time": {"created": BEGIN}},
        {"type": "compaction", "auto": True},
        {"type": "compaction", "auto": False, "overflow": True, "tail_start_id": _id("msg", 1)},
        _text("Made by the client.", synthetic=True),
        {"type": "quantum", "n": 1, "nested": [{"a": None}]},
        {"type": "step-finish", "reason": "stop", "cost": 0.01, "tokens": {}},
    ]


def publish(origin: str, session_id: str = SESSION) -> str:
    """Share the gallery on the stage at ``origin``, and return the URL of its page."""
    share = _post(f"{origin}/api/share", {"sessionID": session_id})
    _post(f"{origin}/api/share/{share['id']}/sync", {"secret": share["secret"], "data": Gallery().items()})
    return share["url"]


def ensure(origin: str, memory: Path) -> str:
    """Share the gallery unless an earlier start has done so, and return the URL of its page.

    ``memory`` is the file that keeps the share's path between starts.
    """
    path = memory.read_text() if memory.exists() else ""
    try:
        if path:
            with urllib.request.urlopen(f"{origin}{path}.md", timeout=60):  # noqa: S310 - our own stage
                return f"{origin}{path}"
    except urllib.error.HTTPError:
        pass  # it has expired, or the data was deleted: make another one
    path = urllib.parse.urlsplit(publish(origin)).path
    memory.write_text(path)
    return f"{origin}{path}"


def _post(url: str, body: Item) -> Item:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own stage
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


if __name__ == "__main__":
    print(publish(sys.argv[1]))  # noqa: T201
