"""Methods of the API: path, parameters, and the function that answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.stripe.account import Account
from local.stripe.objects import Json

Handler = Callable[..., Json]
"""Takes the account, the parameters and the ids of the path; returns the answer's object."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the API."""

    verb: str
    path: re.Pattern[str]
    parameters: str
    handled: frozenset[str]
    handler: Handler

    def run(self, account: Account, values: dict[str, Any], ids: tuple[str, ...]) -> Json:
        """Answer."""
        return self.handler(account, values, *ids)


class Methods:
    """A collection of methods."""

    def __init__(self, *parts: "Methods") -> None:
        """Begin with the methods of `parts`."""
        self._methods: list[Method] = [each for part in parts for each in part]

    def __iter__(self) -> Any:
        return iter(self._methods)

    def add(self, verb: str, path: str, parameters: str, handled: str = "") -> Callable[[Handler], Handler]:
        """Register the function beneath as a method.

        Args:
            verb: HTTP method.
            path: With `{}` for each id.
            parameters: Name of the library's TypedDict under `stripe.params`.
            handled: Parameters that the function acts on, separated by spaces; see `parameters.check`.
        """
        pattern = re.compile(re.escape(path).replace(r"\{\}", "([^/]+)"))

        def register(handler: Handler) -> Handler:
            self._methods.append(Method(verb, pattern, parameters, frozenset(handled.split()), handler))
            return handler

        return register

    def find(self, verb: str, path: str) -> tuple[Method, tuple[str, ...]] | None:
        """Return the method of a request, and the ids in its path."""
        for method in self._methods:
            match = method.path.fullmatch(path)
            if match and method.verb == verb:
                return method, match.groups()
        return None
