"""Storage of the catalogue. Only this package of the feature uses SQL or AWS.

Publishers import ``versions`` (SQL); readers import ``current`` (DynamoDB).
"""
