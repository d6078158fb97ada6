"""Where identity is kept: the only room of the feature that knows SQL or AWS.

The planes without SQL import single modules, so this one imports none.
"""
