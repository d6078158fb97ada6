"""Errors in Stripe's form: a type, mostly a code, and the parameter that is meant."""

from typing import Any


class StripeError(Exception):
    """An answer of Stripe that reports an error."""

    def __init__(self, status: int, kind: str, message: str, **fields: Any) -> None:
        """Answer `status` with an error of the type `kind`.

        Args:
            status: HTTP status.
            kind: `card_error`, `invalid_request_error`, `idempotency_error`, `rate_limit_error` or `api_error`.
            message: For developers.
            fields: Further members of the error, such as `code`, `param`, `decline_code` and `payment_intent`.
        """
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"type": kind, "message": message, **fields}}
        self.headers: dict[str, str] = {}

    @property
    def code(self) -> str:
        """The error's code, empty if it has none."""
        return self.body["error"].get("code", "")


class ParametersRefused(StripeError):
    """Parameters that do not fit the method. Stripe stores no answer for the idempotency key of such a request."""


def refused(message: str, code: str | None = None, param: str | None = None, status: int = 400) -> StripeError:
    """Return an error about the state of an object, or about a valid parameter's value."""
    return StripeError(status, "invalid_request_error", message, **_given(code=code, param=param))


def invalid(message: str, code: str | None, param: str) -> ParametersRefused:
    """Return an error about the form of a parameter."""
    return ParametersRefused(400, "invalid_request_error", message, **_given(code=code, param=param))


def missing(param: str) -> ParametersRefused:
    """Return the error about a parameter that the method needs."""
    return invalid(f"Missing required param: {param}.", "parameter_missing", param)


def missing_object(kind: str, object_id: str, param: str, status: int = 400) -> StripeError:
    """Return the error for an id that the account does not have; 404 if it stands in the path."""
    return refused(f"No such {kind.replace('_', ' ')}: '{object_id}'", "resource_missing", param, status)


def card_error(message: str, code: str, decline_code: str | None = None, **fields: Any) -> StripeError:
    """Return the error of a payment that a bank refuses."""
    return StripeError(402, "card_error", message, code=code, **_given(decline_code=decline_code), **fields)


def lacking(thing: str) -> StripeError:
    """Return the answer to a request that Stripe understands and the stand-in does not."""
    error = StripeError(501, "api_error", f"The stand-in for Stripe lacks {thing}.", code="stand_in_lacks")
    error.headers["Stripe-Should-Retry"] = "false"
    return error


def _given(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}
