"""Storage of identity: the only package of the feature that knows SQL or AWS.

The planes without SQL import single modules, so this module imports none.
"""
