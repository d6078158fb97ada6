"""The errors of this package. Each has a stable code, and a sentence for the person at the terminal."""

from __future__ import annotations


class ConnectError(Exception):
    """Base of all errors of this package. ``code`` is stable, ``message`` says what to do next."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.message = message


class ServerRefused(ConnectError):
    """The server answered with an error. ``status`` is its HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status


class NotEditable(ConnectError):
    """A configuration file cannot be changed safely. The file stays as it is."""

    def __init__(self, reason: str) -> None:
        super().__init__("not_editable", reason)


class Declined(ConnectError):
    """The person did not agree to a change."""

    def __init__(self, message: str) -> None:
        super().__init__("declined", message)
