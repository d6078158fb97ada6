"""Runs the front door by itself: `python -m local.front_door --port 8787 --http-url ... --websocket-url ...`."""

import argparse
import logging
import os
import resource
import socket
import sys

import uvloop

from local.front_door.server import serve
from local.front_door.settings import UNLIMITED, Quotas, Settings
from local.lifeline import end_with_parent


def main() -> None:
    """Serve until a signal ends it, or the program that started it is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--http-url", required=True)
    parser.add_argument("--websocket-url", required=True)
    parser.add_argument("--gateway-url", default="", help="URL for model calls, with ORIGIN_SECRET of the environment")
    parser.add_argument("--hub-url", default="", help="URL of the hub, if it serves sharing")
    parser.add_argument("--aws-endpoint", default="", help="the emulator, with credentials in the environment")
    parser.add_argument("--site-bucket", default="", help="the bucket of static documents")
    parser.add_argument("--no-quotas", action="store_true", help="disable the limits of API Gateway and Lambda")
    parser.add_argument(
        "--trust-proxy", action="store_true", help="trust x-forwarded-* of a proxy in front of the door"
    )
    parser.add_argument("--allow-host", action="append", default=[], help="a name beside those of this machine")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if options.with_parent:
        end_with_parent()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    settings = Settings(
        host=options.host,
        port=options.port,
        http_url=options.http_url,
        websocket_url=options.websocket_url,
        gateway_url=options.gateway_url,
        hub_url=options.hub_url,
        origin_secret=os.environ.get("ORIGIN_SECRET", ""),
        aws_endpoint=options.aws_endpoint,
        site_bucket=options.site_bucket,
        quotas=UNLIMITED if options.no_quotas else Quotas(),
        trust_proxy=options.trust_proxy,
        allowed_hosts=tuple(options.allow_host),
    )
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        sys.exit(f"port {settings.port} of {settings.host} is taken ({error.strerror})")
    uvloop.run(serve(settings, listener))


if __name__ == "__main__":
    main()
