"""Two servers of our own writing that run beside our stage, so that one run compares all of them.

`durable_object` does what the original's sync server does: it awaits the copy in the bucket, then its storage, then
broadcasts. `ws_sqlite` is a plain WebSocket server over SQLite. Both speak the original's first protocol.
"""
