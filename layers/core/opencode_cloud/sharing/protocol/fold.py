"""The state of a share: its log folded to the last arrival of each key."""

from __future__ import annotations

from collections.abc import Iterable

from opencode_cloud.sharing.models import Item, Record


class Fold:
    """The last arrivals of a log so far. Folding the same items again, or in another order, changes nothing."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._winners: dict[str, Item] = {}
        self.add(items)

    def add(self, items: Iterable[Item]) -> None:
        """Add ``items``. Each replaces the item with its key if it arrived later."""
        winners = self._winners
        for item in items:
            current = winners.get(item.key)
            if current is None or item.beats(current):
                winners[item.key] = item

    def add_records(self, records: Iterable[Record]) -> None:
        """Add every item of ``records``."""
        for record in records:
            self.add(record.items)

    def items(self, after: int = 0) -> list[Item]:
        """Return the last arrivals with a sequence number over ``after``, in ascending order of it."""
        return sorted((item for item in self._winners.values() if item.seq > after), key=lambda item: item.seq)

    def __len__(self) -> int:
        return len(self._winners)
