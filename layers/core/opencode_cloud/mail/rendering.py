"""Render a mail from a template and its variables: HTML for mail programs, from MJML, and a plain text.

Templates are ``web/mail/<name>.mjml`` and ``<name>.txt``; the text's first line is the subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import mrml
import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.mail_secrets import invitation_token, sign_in_code

_SUBJECT = "Subject: "
_NO_FONTS = mrml.RenderOptions(fonts={})
"""No web fonts. By default mrml makes mail programs fetch fonts from Google, which would disclose the readers."""


class Rendered(msgspec.Struct, frozen=True):
    """A rendered mail."""

    subject: str
    text: str
    html: str


class Renderer:
    """Renders mails, and derives the links and codes in them, which are not stored."""

    def __init__(self, key: Callable[[], str], public_url: str) -> None:
        """Render for one deployment.

        Args:
            key: Returns the deployment's key, from which links and codes are derived.
            public_url: The deployment's address. If empty, links begin with the variable ``base`` of each mail, the
                address that the inviter's browser used.
        """
        self._key = key
        self._public_url = public_url

    def render(self, template: Template, variables: Mapping[str, Any]) -> Rendered:
        """Render ``template``; raises jinja2's UndefinedError when one of its variables is missing."""
        values = {**variables, **self._derived(template, variables)}
        subject, _, text = _environment().get_template(f"{template}.txt").render(values).partition("\n")
        # A name may contain line breaks: it must not inject another header.
        subject = " ".join(subject.removeprefix(_SUBJECT).split())
        mjml = _environment().get_template(f"{template}.mjml").render(values, subject=subject)
        return Rendered(subject, text.lstrip("\n"), mrml.to_html(mjml, render_options=_NO_FONTS).content)

    def _derived(self, template: Template, variables: Mapping[str, Any]) -> dict[str, str]:
        match template:
            case Template.SIGN_IN_CODE:
                return {"code": sign_in_code(self._key(), variables["challenge"])}
            case Template.WELCOME_OWNER:
                return {"base": (self._public_url or variables["base"]).rstrip("/")}
            case Template.INVITATION:
                base = (self._public_url or variables["base"]).rstrip("/")
                token = invitation_token(self._key(), variables["invitation"], variables["generation"])
                return {"base": base, "link": f"{base}/invitations/{token}"}
            case _:
                return {}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_templates()),
        autoescape=select_autoescape(enabled_extensions=("mjml",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )


def _templates() -> Path:
    """Find the templates: inside the package once it is built, else in the repository."""
    packaged = Path(__file__).parents[1] / "_web" / "mail"
    return packaged if packaged.is_dir() else Path(__file__).parents[4] / "web" / "mail"
