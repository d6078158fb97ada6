"""Methods of the API: path, parameters, and the function that answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from local.stripe import parameters
from local.stripe.account import Account
from local.stripe.listing import page
from local.stripe.objects import CLASSES, Json

Handler = Callable[..., Json]
"""Takes the account, the parameters and the ids of the path; returns the answer's object."""
Fits = Callable[[Json, dict[str, Any]], bool]
"""Returns whether an object is in the list that the parameters ask for."""
CURSORS = frozenset({"limit", "starting_after", "ending_before"})


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

    def add_retrieve(self, kind: str) -> None:
        """Register the method that returns the object of an id."""

        def retrieve(account: Account, _values: dict[str, Any], object_id: str) -> Json:
            return account.at(kind, object_id)

        self.add("GET", f"{_url(kind)}/{{}}", _parameters(kind, "Retrieve"))(retrieve)

    def add_list(self, kind: str, having: str = "", *, also: str = "", fits: Fits | None = None) -> None:
        """Register the method that lists the objects of a kind, newest first.

        Args:
            kind: Member `object`.
            having: Parameters that the field of the same name must equal, separated by spaces.
            also: Further parameters, on which `fits` acts.
            fits: Selects among the objects that have these fields.
        """
        names, url, given = having.split(), _url(kind), _parameters(kind, "List")

        def list_all(account: Account, values: dict[str, Any]) -> Json:
            found = account.all(kind, **{name: values[name] for name in names if name in values})
            return page((each for each in found if fits is None or fits(each, values)), values, url)

        by_time = parameters.names(given) & {"created"}
        self.add("GET", url, given, " ".join([*names, also, *CURSORS, *by_time]))(list_all)

    def find(self, verb: str, path: str) -> tuple[Method, tuple[str, ...]] | None:
        """Return the method of a request, and the ids in its path."""
        for method in self._methods:
            match = method.path.fullmatch(path)
            if match and method.verb == verb:
                return method, match.groups()
        return None


def _url(kind: str) -> str:
    return cast("Any", CLASSES[kind][1]).class_url()


def _parameters(kind: str, action: str) -> str:
    group, dot, _ = kind.rpartition(".")
    return f"{group}{dot}{CLASSES[kind][1].__name__}{action}Params"
