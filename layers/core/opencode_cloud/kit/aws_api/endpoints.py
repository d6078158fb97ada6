"""Addresses of AWS's services, by botocore's rules of names and of the environment.

``tests/unit/kit/test_endpoints.py`` compares every region, FIPS and dual stack with botocore's own data.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class _Partition(NamedTuple):
    prefixes: tuple[str, ...]
    suffix: str
    dual_stack_suffix: str


_PARTITIONS = (
    _Partition(("cn-",), "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    _Partition(("us-iso-",), "c2s.ic.gov", "api.aws.ic.gov"),
    _Partition(("us-isob-",), "sc2s.sgov.gov", "api.aws.scloud"),
    _Partition(("eu-isoe-",), "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    _Partition(("us-isof-",), "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    _Partition(("eusc-",), "amazonaws.eu", "api.amazonwebservices.eu"),
)
_COMMON = _Partition((), "amazonaws.com", "api.aws")
_FIPS_BY_DEFAULT = frozenset({"dynamodb", "sqs"})
"""Services whose usual endpoints in us-gov regions are FIPS endpoints."""
_DUAL_STACK_BY_DEFAULT = frozenset({"secrets_manager"})
"""Services whose usual endpoints have IPv6 addresses too."""


def region() -> str:
    """Return the region that the environment names. Raises RuntimeError without one."""
    name = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not name:
        raise RuntimeError("there is no AWS region: set AWS_REGION or AWS_DEFAULT_REGION")
    return name


def configured(service: str) -> str | None:
    """Return the endpoint that the environment sets for a service (``dynamodb``, ``secrets_manager``, ...)."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    named = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
    return named.rstrip("/") if named else None


def endpoint(service: str) -> str:
    """Return the base URL of a service in the environment's region, without a final slash."""
    return (
        configured(service) or f"https://{host(service, region(), fips=_flag('FIPS'), dual_stack=_flag('DUALSTACK'))}"
    )


def host(service: str, region_name: str, *, fips: bool = False, dual_stack: bool = False) -> str:
    """Return the host of a service in a region."""
    partition = next((known for known in _PARTITIONS if region_name.startswith(known.prefixes)), _COMMON)
    name = service.replace("_", "")
    if name == "s3":
        parts = [f"s3{'-fips' if fips else ''}", *(["dualstack"] if dual_stack else []), region_name]
        return ".".join((*parts, partition.suffix))
    plain_in_gov = name in _FIPS_BY_DEFAULT and region_name.startswith("us-gov-") and not dual_stack
    if fips and not plain_in_gov:
        name += "-fips"
    dual_stack = dual_stack and service not in _DUAL_STACK_BY_DEFAULT
    return f"{name}.{region_name}.{partition.dual_stack_suffix if dual_stack else partition.suffix}"


def read_seconds(usual: float) -> float:
    """Return how long a part of an answer may take, in seconds: ``usual``, or what ``AWS_READ_SECONDS`` sets.

    AWS answers in milliseconds. A server that stands in for it on a busy machine does not. Raises RuntimeError for a
    setting that is not a number.
    """
    setting = os.environ.get("AWS_READ_SECONDS") or usual
    try:
        return float(setting)
    except ValueError as error:
        raise RuntimeError(f"AWS_READ_SECONDS must be a number of seconds, not {setting!r}") from error


def _flag(name: str) -> bool:
    return os.environ.get(f"AWS_USE_{name}_ENDPOINT", "").lower() == "true"
