"""Find the repository of a workflow's identity token (GitHub: "OpenID Connect reference", the subject claim)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_cloud.github.models import Repository

_PREFIX = "repo:"


def repository_of(claims: Mapping[str, Any]) -> Repository | None:
    """Return the repository that verified ``claims`` name; None when they name none, or two.

    The subject is ``repo:<owner>/<name>:...``, or ``repo:<owner>@<id>/<name>@<id>:...`` in its immutable form. An owner
    may have configured another form of subject. Then the claim ``repository`` decides, which GitHub always sets itself.
    If both name a repository, they must agree.
    """
    subject = _of_subject(str(claims.get("sub", "")))
    claimed = _of_names(str(claims.get("repository", "")))
    if subject and claimed:
        return subject if subject.same_as(claimed) else None
    return subject or claimed


def _of_subject(subject: str) -> Repository | None:
    if not subject.startswith(_PREFIX):
        return None
    names = subject.removeprefix(_PREFIX).partition(":")[0]
    return _of_names("/".join(part.partition("@")[0] for part in names.split("/")))


def _of_names(names: str) -> Repository | None:
    owner, separator, name = names.partition("/")
    return Repository.parse(owner, name) if separator else None
