"""Templates, static files and security headers of all pages."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit import languages
from opencode_cloud.kit.content_codings import Coding, pack
from opencode_cloud.kit.web_folder import web_folder

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_VERSION = re.compile(r"([0-9a-f]{12})/(.+)")
_CODE = re.compile(r"(?<!`)`++([^`]+)`+")


PACK_FROM_BYTES = 1024
"""Static files of this size are packed: a page may load thirty, most of them small."""
PACK_LEVEL = 9
"""Higher levels of Zstandard save 4 % more bytes in ten times the time of the first reader."""


class Asset(msgspec.Struct, frozen=True):
    """A static file, ready to serve."""

    body: bytes
    media_type: str
    cache_control: str


@lru_cache(maxsize=256)
def packed(asset: Asset, coding: Coding) -> bytes:
    """Return a static file in a coding. It is packed once and kept, so it may take longer than an answer."""
    return pack(asset.body, coding, gzip_level=PACK_LEVEL, zstd_level=PACK_LEVEL)


def content_security_policy(
    *, scripts: str = "'none'", connect: str = "'none'", forms: str = "'none'", styles: str = "'self'"
) -> str:
    """Return a page's content security policy: only the named sources, nothing inline, no frames.

    ``forms`` must also name the origins that an answer to a form redirects to.
    """
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data:; connect-src {connect}; "
        f"base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
    )


def headers(policy: str) -> dict[str, str]:
    """Return the headers of a page with the content security policy ``policy``."""
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "private, no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow, noarchive, nosnippet",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def environment() -> Environment:
    """Return a new environment for the templates in ``web/templates``; ``assets`` is the path of static files.

    The filter ``words`` formats text between backticks as code. It is here, and not next to its pages, because
    functions compile all templates at their start.

    ``_``, ``ngettext`` and ``pgettext`` translate messages that templates hold as literals, with elements in them. The
    filter ``translated`` translates a value, which is escaped like any other.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to import, and the API has no templates

    jinja = Environment(
        loader=FileSystemLoader(web_folder() / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    jinja.filters.update(words=words, translated=languages.gettext)  # pyright: ignore[reportUnknownMemberType]: untyped in Jinja
    translators = {"_": _markup_of, "ngettext": _markup_of_number, "pgettext": _markup_in_context}
    jinja.globals.update(  # pyright: ignore[reportUnknownMemberType]: untyped in Jinja
        assets=f"/assets/{version()}", language=languages.present, languages=languages.LANGUAGES, **translators
    )
    return jinja


def _markup_of(message: str, **values: object) -> Markup:
    return _formatted(languages.gettext(message), values)


def _markup_of_number(one: str, many: str, num: int, **values: object) -> Markup:
    from markupsafe import Markup

    shown = {name: Markup("{}").format(value) for name, value in values.items()}
    return Markup(languages.ngettext(one, many, num, **shown))  # noqa: S704 - values are escaped


def _markup_in_context(context: str, message: str, **values: object) -> Markup:
    return _formatted(languages.pgettext(context, message), values)


def _formatted(message: str, values: dict[str, object]) -> Markup:
    """Return a message as HTML, with its values escaped."""
    from markupsafe import Markup

    return Markup(message) % values if values else Markup(message)  # noqa: S704 - no value is in the message


def words(text: str) -> Markup:
    """Format a sentence as HTML, with text between backticks as code."""
    from markupsafe import Markup

    parts = _CODE.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if odd % 2 else part for odd, part in enumerate(parts)
    )


def static_asset(path: str) -> Asset | None:
    """Return the static file at /assets/``path``, or None. Its URL has a version, so it can be cached for good."""
    match = _VERSION.fullmatch(path)
    named, name = match.groups() if match else ("", path)
    body = _static().get(name)
    if body is None:
        return None
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.endswith(".js"):
        media_type = "text/javascript"  # some systems map .js to another type, which browsers refuse for modules
    lasting = named == version()
    return Asset(body, media_type, "public, max-age=31536000, immutable" if lasting else "public, max-age=60")


@lru_cache(maxsize=1)
def version() -> str:
    """Return the version of the static files, which changes with each of them."""
    digest = hashlib.sha256()
    for name, body in _static().items():
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def _static() -> dict[str, bytes]:
    root = web_folder() / "static"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
