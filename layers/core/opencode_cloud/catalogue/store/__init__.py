"""Where the catalogue is kept: the only room of the feature that knows SQL or AWS.

``versions`` and ``tables`` (SQL) are imported by who publishes, ``current`` (DynamoDB) by who reads.
"""
