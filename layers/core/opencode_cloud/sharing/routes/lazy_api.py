"""The part of `/api/v1` that the share function serves, loaded lazily so that publishing and reading do not pay.

Validation and its library load with the first request that needs them: they would be half of the function's imports,
and no client's `sync` needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from opencode_cloud.access.service import Access
    from opencode_cloud.sharing.service.deletion import ShareDeletion
    from opencode_cloud.sharing.service.owning import Owning
    from opencode_cloud.sharing.store import Tasks

    Answer = Callable[[dict[str, Any], Any], dict[str, Any]]

PREFIX = "/api/v1/"


class LazyShareApi:
    """Answers the requests of owners and admins."""

    def __init__(
        self,
        owning: Owning,
        deletion: ShareDeletion,
        tasks: Tasks,
        access: Access,
        key: Callable[[], str],
        *,
        sessions_table: str,
        public_url: str,
        requests_per_minute: int,
    ) -> None:
        """Store the services. ``key`` returns the deployment's key, under which answers to repetitions are kept."""
        self._owning = owning
        self._deletion = deletion
        self._tasks = tasks
        self._access = access
        self._key = key
        self._sessions_table = sessions_table
        self._public_url = public_url
        self._requests_per_minute = requests_per_minute
        self._loaded: Answer | None = None

    def answer(self, event: dict[str, Any], context: Any) -> dict[str, Any] | None:
        """Answer a request under `/api/v1`; return None for any other."""
        if not event["rawPath"].startswith(PREFIX):
            return None
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded(event, context)

    def _load(self) -> Answer:
        from opencode_cloud.http.api import api_app, limited_answer
        from opencode_cloud.http.gate import only_once
        from opencode_cloud.kit.rate_limits import RateLimiter
        from opencode_cloud.sharing.routes.api import ShareApi

        app: Any = api_app()
        app.use([only_once(self._access, self._sessions_table, self._key)])
        ShareApi(self._owning, self._deletion, self._tasks, self._access, public_url=self._public_url).mount(app)
        limiter = RateLimiter(self._sessions_table, self._requests_per_minute)
        return lambda event, context: limited_answer(app, limiter, event, context)
