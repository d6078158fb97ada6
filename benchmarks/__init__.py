"""What `make bench` runs: latency, throughput, loading, memory, AWS calls and list-price cost of the local stage.

Nothing here asserts on time. A floor (a bare broadcast server that stores nothing) is measured in the same run, and the
emulator's share of our time is reported apart from ours.
"""
