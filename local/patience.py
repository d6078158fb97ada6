"""Patience of the local stage. One machine runs everything at once, so a call takes longer than on AWS.

It imports nothing, because the emulator has an environment of its own.
"""

FACTOR = 4
"""Times AWS's limits of time, for a function and for an answer of an API. Limits of bytes and counts are AWS's."""
