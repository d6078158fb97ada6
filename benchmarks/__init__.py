"""The parts of `make bench`: latency, throughput, loading, memory, AWS calls and list-price cost of the local stage.

No part asserts on time. A floor (a bare broadcast server that stores nothing) is measured in the same run, and the
emulator's share of our time is reported separately.
"""
