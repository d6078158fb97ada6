"""The owner's panel as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from jinja2 import Environment
from markupsafe import Markup

from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.sharing.models import Finding, OwnerPanel

MODES = {
    "link": gettext_noop("Anyone with the link"),
    "password": gettext_noop("Anyone with the link and the password"),
    "workspace": gettext_noop("Members of the workspace"),
}
ENDS = {
    "": gettext_noop("unchanged"),
    "day": gettext_noop("in a day"),
    "week": gettext_noop("in 7 days"),
    "month": gettext_noop("in 30 days"),
    "never": gettext_noop("never"),
}
DONE: Mapping[str, str] = {
    "saved": gettext_noop("Saved."),
    "allowed": gettext_noop("Saved. It appears when the client shares its message again."),
    "rescan": gettext_noop("The share is being searched. Secrets in it are replaced within seconds."),
}
"""Messages after a form, by the value of the query ``done``. A URL cannot inject another text."""
MOST_SHOWN = 100
"""Different secrets in the panel. The API lists more."""


class ShownSecret(msgspec.Struct, frozen=True):
    """One secret of the report, with the places that hold it."""

    kind: str
    name: str
    """The entry that allows it: kind and fingerprint."""
    count: int
    places: tuple[tuple[str, str], ...]
    """Keys of items, and fields in them."""
    allowed: bool


def render_owner_panel(
    environment: Environment, panel: OwnerPanel, action: str, token: str, *, done: str = "", problem: str = ""
) -> Markup:
    """Write the panel. ``done`` and ``problem`` describe the outcome of the form that was sent last."""
    listed = panel.listed
    secrets = _secrets(panel)
    end = listed.share.expires_at
    html = environment.get_template("owner.html").render(
        action=action,
        token=token,
        done=done,
        problem=problem,
        mode=listed.ownership.mode.value,
        modes=MODES,
        ends=ENDS,
        expires=datetime.fromtimestamp(end, UTC) if end is not None else None,
        comments=listed.ownership.comments,
        views=listed.views,
        viewers=panel.viewers,
        redaction=panel.report.mode.value,
        secrets=secrets[:MOST_SHOWN],
        total=sum(each.count for each in secrets),
        more=max(0, len(secrets) - MOST_SHOWN),
    )
    return Markup(html)  # noqa: S704 - the template escapes


def _secrets(panel: OwnerPanel) -> list[ShownSecret]:
    counts: Counter[str] = Counter()
    places: dict[str, list[tuple[str, str]]] = {}
    kinds: dict[str, str] = {}
    for item in panel.report.items:
        for finding in item.findings:
            name = _name(finding)
            kinds[name] = finding.kind
            counts[name] += finding.count
            places.setdefault(name, []).append((item.key, finding.field))
    # An allowed secret is found no more, and must stay in the form that replaces the list.
    for name in panel.report.allowed:
        kinds.setdefault(name, name.partition("/")[0])
    allowed = set(panel.report.allowed)
    return [
        ShownSecret(kind, name, counts[name], tuple(places.get(name, [])[:5]), name in allowed)
        for name, kind in sorted(kinds.items())
    ]


def _name(finding: Finding) -> str:
    return f"{finding.kind}/{finding.fingerprint}"
