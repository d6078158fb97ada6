"""Keep web pages of other sites away from the programs of a local stage.

A page in the developer's browser can send requests to the loopback interface. It cannot read this machine's answers if
the programs refuse its `Origin`, and refuse names of hosts that are not this machine's (DNS rebinding). It imports
only the standard library, because the emulator has an environment of its own.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

LOOPBACK = "localhost"


@lru_cache(256)
def is_loopback(name: str) -> bool:
    """Tell whether a host's name, without a port, means this machine in every browser."""
    lowered = name.lower().rstrip(".")
    if lowered == LOOPBACK or lowered.endswith(f".{LOOPBACK}"):
        return True
    try:
        return ipaddress.ip_address(lowered).is_loopback
    except ValueError:
        return False


def is_ours(host: str, names: Iterable[str] = ()) -> bool:
    """Tell whether a header `Host` names this machine, or one of `names`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name.lower() in {each.lower() for each in names}


def is_foreign(origin: str, fetch_site: str, fetch_mode: str, names: Iterable[str] = ()) -> bool:
    """Tell whether a page of another site sent a request, by the browser's own headers; programs send none of them.

    Opening an address, as by a click on a link, is not foreign: the page that did it cannot read the answer.
    """
    if origin == "null":  # a form of a page that sends no referrer, or a page without an origin
        return fetch_site not in ("none", "same-origin")
    if origin:
        scheme, _, host = origin.partition("://")
        return scheme not in ("http", "https") or not is_ours(host, names)
    return fetch_site == "cross-site" and fetch_mode != "navigate"
