"""Controlled races: a test acts between two calls of a service to its stores."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

Target = TypeVar("Target")
Action = Callable[[], Any]
Method = Callable[..., Any]


class Steering:
    """Runs actions before or after calls of wrapped stores, each action once, in their order."""

    def __init__(self) -> None:
        self._before: dict[str, deque[Action]] = defaultdict(deque)
        self._after: dict[str, deque[Action]] = defaultdict(deque)

    def over(self, target: Target) -> Target:
        """Return a stand-in for ``target`` that behaves as it does, but for the actions."""
        return cast("Target", _Steered(target, self))

    def before(self, method: Method, action: Action, times: int = 1) -> None:
        """Run ``action`` before each of the next ``times`` calls of ``method``."""
        self._before[method.__qualname__].extend([action] * times)

    def after(self, method: Method, action: Action, times: int = 1) -> None:
        """Run ``action`` after each of the next ``times`` calls of ``method`` has read or written."""
        self._after[method.__qualname__].extend([action] * times)

    def call(self, name: str, function: Method, *arguments: Any, **options: Any) -> Any:
        if self._before[name]:
            self._before[name].popleft()()
        answer = function(*arguments, **options)
        if self._after[name]:
            self._after[name].popleft()()
        return answer


class _Steered:
    def __init__(self, target: object, steering: Steering) -> None:
        self._target = target
        self._steering = steering

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value
        # The class that defines the method, which may be a parent of the target's.
        qualified = value.__qualname__
        return lambda *arguments, **options: self._steering.call(qualified, value, *arguments, **options)
