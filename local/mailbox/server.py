"""SMTP in, a page and JSON out."""

import asyncio
import signal
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from aiosmtpd.smtp import SMTP

from local.browsers import is_foreign, is_ours
from local.mailbox.client import ReceivedMail
from opencode_cloud.contracts.mail import Template
from opencode_cloud.mail.preview import preview

HOST = "127.0.0.1"
KEPT = 1000
"""Mails; older ones are dropped."""

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'"
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; sandbox allow-popups"
STYLE = (
    "body{font:1rem/1.6 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #ddd}"
    "iframe{width:100%;height:32rem;border:1px solid #ddd}pre{white-space:pre-wrap;background:#f5f5f4;padding:1rem}"
)


class Letters:
    """The received mails, and the handler that aiosmtpd calls for each mail."""

    def __init__(self) -> None:
        self._mails: deque[ReceivedMail] = deque(maxlen=KEPT)
        self._count = 0

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Store a mail. aiosmtpd sends the answer to the client."""
        message = message_from_bytes(envelope.content, policy=policy.default)
        self._count += 1
        self._mails.append(
            ReceivedMail(
                number=self._count,
                sender=envelope.mail_from,
                recipients=list(envelope.rcpt_tos),
                subject=str(message["Subject"]),
                text=_part(message, "plain"),
                html=_part(message, "html"),
                received_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            )
        )
        return "250 Kept"

    def after(self, number: int) -> list[ReceivedMail]:
        """Return the mails after the one with this number."""
        return [mail for mail in self._mails if mail.number > number]

    def get(self, number: int) -> ReceivedMail | None:
        """Return one mail."""
        return next((mail for mail in self._mails if mail.number == number), None)


@web.middleware
async def only_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse other names of this machine, and pages of other sites: mails contain codes and links to sign in."""
    headers = request.headers
    if not is_ours(headers.get("Host", "")):
        raise web.HTTPMisdirectedRequest(text="The mailbox answers names of the loopback interface only.")
    origin, site, mode = (headers.get(name, "") for name in ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode"))
    if is_foreign(origin, site, mode):
        raise web.HTTPForbidden(text="The mailbox answers no page of another site.")
    return await handler(request)


class Pages:
    """The mailbox in a browser."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters

    def application(self) -> web.Application:
        """Return the web application."""
        made = web.Application(middlewares=[only_this_machine])
        made.add_routes(
            [
                web.get("/", self.overview),
                web.get("/mails.json", self.as_json),
                web.get(r"/mails/{number:\d+}", self.mail),
                web.get(r"/mails/{number:\d+}/html", self.html),
                web.get("/preview/{template}", self.preview),
            ]
        )
        return made

    async def overview(self, _request: web.Request) -> web.Response:
        """List the mails, newest first. The page reloads every few seconds."""
        rows = [
            f"<tr><td>{escape(mail.received_at[11:19])}</td><td>{escape(', '.join(mail.recipients))}</td>"
            f'<td><a href="/mails/{mail.number}">{escape(mail.subject)}</a></td></tr>'
            for mail in reversed(self._letters.after(0))
        ]
        table = f"<table><tr><th>UTC<th>To<th>Subject</tr>{''.join(rows)}</table>" if rows else "<p>No mail yet.</p>"
        samples = " · ".join(f'<a href="/preview/{each}">{each}</a>' for each in Template)
        body = f"<h1>Mailbox</h1>{table}<h2>Templates</h2><p>{samples}</p>"
        return _page("Mailbox", f'<meta http-equiv="refresh" content="5">{body}')

    async def as_json(self, request: web.Request) -> web.Response:
        """Answer the mails after `?after=` as JSON."""
        return web.json_response([asdict(mail) for mail in self._letters.after(int(request.query.get("after", "0")))])

    async def mail(self, request: web.Request) -> web.Response:
        """Show one mail: its HTML in a frame of its own, and its text."""
        mail = self._mail(request)
        head = f"<p><a href='/'>All mails</a></p><h1>{escape(mail.subject)}</h1>"
        head += f"<p>From {escape(mail.sender)} to {escape(', '.join(mail.recipients))}, {escape(mail.received_at)}</p>"
        frame = f'<iframe sandbox="allow-popups" src="/mails/{mail.number}/html"></iframe>' if mail.html else ""
        return _page(mail.subject, f"{head}{frame}<h2>Text</h2><pre>{_linked(mail.text)}</pre>")

    async def html(self, request: web.Request) -> web.Response:
        """Answer the HTML of a mail, for the frame."""
        return _html(self._mail(request).html, MAIL_POLICY)

    async def preview(self, request: web.Request) -> web.Response:
        """Show a template with sample values, rendered as the deployed function does."""
        name = request.match_info["template"]
        if name not in list(Template):
            raise web.HTTPNotFound(text="There is no such template.")
        return _html(preview(Template(name)).html, MAIL_POLICY)

    def _mail(self, request: web.Request) -> ReceivedMail:
        mail = self._letters.get(int(request.match_info["number"]))
        if mail is None:
            raise web.HTTPNotFound(text="There is no such mail.")
        return mail


async def serve(port: int, smtp_port: int) -> None:
    """Receive and show mails until SIGTERM or SIGINT."""
    letters = Letters()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    smtp = await loop.create_server(lambda: SMTP(letters, enable_SMTPUTF8=True, loop=loop), HOST, smtp_port)
    runner = web.AppRunner(Pages(letters).application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await ended.wait()
    smtp.close()
    await runner.cleanup()


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return part.get_content().replace("\r\n", "\n") if part else ""


def _linked(text: str) -> str:
    def word(each: str) -> str:
        shown = escape(each)
        return f'<a href="{shown}" rel="noreferrer">{shown}</a>' if each.startswith(("http://", "https://")) else shown

    return "\n".join(" ".join(map(word, line.split(" "))) for line in text.splitlines())


def _page(title: str, body: str) -> web.Response:
    parts: Iterable[str] = (
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>{body}</html>",
    )
    return _html("".join(parts), PAGE_POLICY)


def _html(text: str, content_policy: str) -> web.Response:
    headers = {"Content-Security-Policy": content_policy, "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, content_type="text/html", headers=headers)
