"""One account: its objects, its events, and its clocks. Each secret key has an account of its own."""

import copy
import time
from collections.abc import Iterator
from typing import Any

from local.stripe.deliveries import Deliveries
from local.stripe.errors import missing_object
from local.stripe.faults import Faults
from local.stripe.idempotency import KnownAnswers
from local.stripe.objects import Json, make

API_VERSION = "2026-10-28.endive"


class Account:
    """The state behind one secret key, in memory."""

    def __init__(self, url: str) -> None:
        """Begin empty; `url` is the origin of the stand-in, for links to its pages."""
        self.url = url
        self.answers = KnownAnswers()
        self.faults = Faults()
        self.deliveries = Deliveries(self)
        self.request: Json = {"id": None, "idempotency_key": None}
        """The request that runs: events name it."""
        self.behaviours: dict[str, str] = {}
        """Token of the test card by payment method."""
        self.set_up: set[str] = set()
        self.detached: set[str] = set()
        """Payment methods that were authenticated for later payments."""
        self.told_upcoming: dict[str, int] = {}
        """By subscription, the end of the period whose renewal was announced."""
        self.tax_behaviour: str | None = None
        """How tax relates to prices that say nothing about it; None: such prices may not be taxed."""
        self.tax_lines: dict[str, list[Json]] = {}
        """By calculation of tax, its lines."""
        self.plans: dict[str, Json] = {}
        """By checkout session, its lines and the parameters that it hands on."""
        self._objects: dict[str, Json] = {}

    def add(self, made: Json) -> Json:
        """Store a new object and return it."""
        self._objects[made["id"]] = made
        return made

    def find(self, kind: str, object_id: Any) -> Json | None:
        """Return an object, deleted ones too, or None."""
        found = self._objects.get(object_id) if isinstance(object_id, str) else None
        return found if found and found["object"] == kind else None

    def get(self, kind: str, object_id: Any, param: str) -> Json:
        """Return the object that the parameter `param` names.

        Raises:
            StripeError: There is none (400).
        """
        found = self.find(kind, object_id)
        if found is None or found.get("deleted"):
            raise missing_object(kind, object_id, param)
        return found

    def at(self, kind: str, object_id: str) -> Json:
        """Return the object that the path names.

        Raises:
            StripeError: There is none, or it was deleted (404).
        """
        found = self.find(kind, object_id)
        if found is None or found.get("deleted"):
            raise missing_object(kind, object_id, "id", status=404)
        return found

    def any(self, object_id: str) -> Json | None:
        """Return an object of any kind."""
        return self._objects.get(object_id)

    def all(self, kind: str, **having: Any) -> Iterator[Json]:
        """Yield the objects of a kind that are not deleted and whose fields have these values, newest first."""
        for each in reversed(list(self._objects.values())):
            if each["object"] != kind or each.get("deleted"):
                continue
            if all(each.get(name) == value for name, value in having.items()):
                yield each

    def delete(self, made: Json) -> Json:
        """Replace an object by the mark of its deletion."""
        gone = {"id": made["id"], "object": made["object"], "deleted": True}
        self._objects[made["id"]] = gone
        return gone

    def now(self, customer_id: str | None = None) -> int:
        """Return the time in seconds: of the customer's test clock if it has one."""
        customer = self.find("customer", customer_id)
        clock = self.find("test_helpers.test_clock", customer.get("test_clock")) if customer else None
        return clock["frozen_time"] if clock else int(time.time())

    def emit(self, kind: str, about: Json, before: Json | None = None) -> Json:
        """Store an event with a copy of the object as it is now, and deliver it.

        Args:
            kind: Type of the event.
            about: The object.
            before: Earlier values of changed fields, for types that end in `updated`.
        """
        data: Json = {"object": copy.deepcopy(about)}
        if before is not None:
            data["previous_attributes"] = before
        owner = about["id"] if about["object"] == "customer" else about.get("customer")
        event = make(
            "event",
            api_version=API_VERSION,
            created=self.now(owner if isinstance(owner, str) else None),
            data=data,
            pending_webhooks=0,
            request=dict(self.request),
            type=kind,
        )
        del event["account"], event["context"]
        self.deliveries.send(self.add(event))
        return event

    def change(self, made: Json, event: str | None, **fields: Any) -> Json:
        """Set fields of an object, and tell of it with the fields' earlier values if any differs."""
        before = {name: made.get(name) for name, value in fields.items() if made.get(name) != value}
        made.update(fields)
        if event and before:
            self.emit(event, made, before)
        return made
