"""The page's modules, run by Node.js: what they make of a part is compared with what the server makes of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
ALLOWED = {
    *("p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr", "br", "div", "pre", "code", "span"),
    *("table", "thead", "tbody", "tr", "th", "td", "strong", "em", "s", "a", "button"),
}
ATTRIBUTES = {
    *("class", "href", "rel", "target", "title", "start", "role", "aria-label", "tabindex", "type", "data-status"),
}
"""Elements and attributes that Markdown of users and models can make."""

PROGRAM = """
import { createInterface } from "node:readline"
if (process.argv[2] !== "en") globalThis.document = { documentElement: { lang: process.argv[2] } }
const modules = {}
for await (const line of createInterface({ input: process.stdin })) {
  const [module, name, args] = JSON.parse(line)
  modules[module] ??= await import(`./${module}.js`)
  const made = modules[module][name](...args)
  process.stdout.write(JSON.stringify(made === undefined ? null : made) + "\\n")
}
"""


class BrowserSide:
    """A process of Node.js that calls functions of the modules in ``web/static``."""

    def __init__(self, folder: Path, language: str = "en") -> None:
        """``language`` is the tag of the page that the modules believe to be on."""
        for path in (ROOT / "web" / "static").glob("*.js"):
            shutil.copy(path, folder)
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "calls.js").write_text(PROGRAM)
        self._process = subprocess.Popen(
            ["node", "calls.js", language], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, module: str, name: str, *args: Any) -> Any:
        """Call a function of a module with values that JSON can say, and return its result as JSON says it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([module, name, args]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{module}.{name} failed"
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE)


def merged(nodes: Any) -> Any:
    """Return nodes with neighbouring texts joined, since a page does not tell them apart."""
    found: list[Any] = []
    for node in nodes:
        if isinstance(node, dict):
            found.append({**node, "children": merged(node["children"])})
        elif found and isinstance(found[-1], str):
            found[-1] += node
        elif node:
            found.append(node)
    return found
