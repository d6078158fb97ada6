"""Counters of a follower or publisher; read by benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Running totals; all start at zero and only grow."""

    connections: int = 0
    """Sockets opened."""
    resumes: int = 0
    """`resume` actions sent: the first of each socket, and those that fill gaps."""
    frames_received: int = 0
    """Whole WebSocket messages received."""
    socket_bytes_received: int = 0
    """Payload bytes of those messages (UTF-8, without WebSocket framing)."""
    items_received: int = 0
    """Items in frames and documents, duplicates included."""
    duplicate_items: int = 0
    """Items that were already covered by the cursor when they arrived."""
    largest_frame: int = 0
    """Payload bytes of the largest message received."""
    snapshots: int = 0
    """Documents fetched because the server sent a reference instead of frames."""
    references: int = 0
    """Items fetched over HTTP because they are too large for a frame."""
    http_bytes_received: int = 0
    """Body bytes downloaded over HTTP, as transferred."""
    frames_sent: int = 0
    """Whole WebSocket messages sent."""
    socket_bytes_sent: int = 0
    """Payload bytes of those messages."""

    @property
    def bytes_received(self) -> int:
        """Return the number of all received bytes, from sockets and HTTP."""
        return self.socket_bytes_received + self.http_bytes_received
