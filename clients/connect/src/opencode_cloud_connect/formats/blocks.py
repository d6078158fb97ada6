"""A block of lines at the end of a file, between two comments. It suits lists of YAML, whose items have no names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.formats.values import ABSENT

BEGIN = "# begin opencode-cloud"
END = "# end opencode-cloud"
_BLOCK = re.compile(rf"^[ \t]*{BEGIN}\n(.*?)^[ \t]*{END}\n", re.DOTALL | re.MULTILINE)
_ITEM = re.compile(r"^([ \t]*)-\s", re.MULTILINE)


class Blocks:
    """One block. The path is ignored: a file has one block only. The value is the text of the block."""

    def read(self, text: str, path: Sequence[str]) -> Any:
        """Return the lines of the block without the list's indentation, or ``ABSENT``."""
        del path
        match = _BLOCK.search(text)
        if match is None:
            return ABSENT
        indent = _indent(match[1])
        return "".join(line.removeprefix(indent) for line in match[1].splitlines(keepends=True))

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """Return ``text`` with the block. Raises :class:`NotEditable` for a file that is no list with dashes."""
        rest = self.drop(text, path)
        content = [line for line in rest.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if content and not _ITEM.match(content[0]):
            raise NotEditable("it is not a list with a dash on each line. Write it so, and try again")
        indent = _indent("\n".join(content))
        whole = rest if not rest or rest.endswith("\n") else rest + "\n"
        lines = [BEGIN, *str(value).splitlines(), END]
        return whole + "".join(f"{indent}{line}\n" for line in lines)

    def drop(self, text: str, path: Sequence[str]) -> str:
        """Return ``text`` without the block."""
        del path
        return _BLOCK.sub("", text)


def _indent(text: str) -> str:
    match = _ITEM.search(text)
    return match[1] if match else ""


BLOCKS = Blocks()
