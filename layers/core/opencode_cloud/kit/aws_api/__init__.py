"""AWS's protocols for the few calls that functions make often: credentials, endpoints, connections, signatures.

botocore does the same for every service and option. It takes 0.2 s to import and 1 ms of processor time a call, which
is most of a cold start and of a small request (docs/decisions/028-aws-without-botocore.md).
"""
