"""Start MiniStack for this project: `.tools/ministack/bin/python -m local.emulator.launcher --port ... `.

Runs inside MiniStack's own environment. Everything is set before the first import of MiniStack, which reads its
settings while it is imported.
"""

import argparse
import decimal
import logging
import os
import resource
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from local.lifeline import end_with_parent

SAVE_PATH = "/_local/save"
"""A POST here saves the state of all services and answers when it is on the disk."""

WORKERS_PER_FUNCTION = max(4, 2 * (os.cpu_count() or 1))
"""The maximum of processes of one function. Further calls wait for a free one. More would slow each other down."""

ACCOUNT_CONCURRENCY = 1000
"""The maximum of concurrent calls, running or waiting for a worker: AWS's default."""

LARGEST_MESSAGE = 1024 * 1024
"""Bytes of a WebSocket message; the front door enforces API Gateway's own, smaller limits."""

CHECKPOINT_BYTES = 256 * 1024 * 1024
"""Size of the journal at which the state is saved while running, so that neither disk nor start-up time runs away."""


def main() -> None:
    """Serve until SIGTERM or SIGINT, then save the state."""
    arguments = parse_arguments()
    if arguments.with_parent:
        end_with_parent()
    os.umask(0o077)
    os.environ.update(environment(arguments.state.resolve(), arguments.port))
    decimal.DefaultContext.prec = 38  # DynamoDB's numbers have 38 digits; new threads copy this context
    decimal.getcontext().prec = 38
    raise_file_limit()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    application = prepare(arguments.state, arguments.durability)
    listener = bind(arguments.port)
    uvloop: Any = import_module("uvloop")
    uvloop.run(serve(application, listener))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="MiniStack with a journal, on the loopback interface only.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder for the saved state, objects and journal")
    parser.add_argument(
        "--durability", choices=("disk", "process"), default="disk", help="what acknowledged writes survive"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    return parser.parse_args()


def environment(state: Path, port: int) -> dict[str, str]:
    """Return MiniStack's settings; the functions' workers inherit them too."""
    return {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "localhost",
        "GATEWAY_PORT": str(port),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "objects"),
        "LAMBDA_ACCOUNT_CONCURRENCY": os.environ.get("LAMBDA_ACCOUNT_CONCURRENCY", str(ACCOUNT_CONCURRENCY)),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{state}/no-docker",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
    }


def raise_file_limit() -> None:
    """Allow as many sockets as the system grants: each viewer of a share is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def prepare(state: Path, durable: Literal["disk", "process"]) -> Any:
    """Import MiniStack, hook our changes into it and return the ASGI application."""
    from local.emulator import admission, arrivals, functions, identities, queries, queues, routing, sockets, streams
    from local.emulator.durability import Durability

    functions.install(state / "code", int(os.environ.get("LAMBDA_WORKERS_PER_FUNCTION", WORKERS_PER_FUNCTION)))
    durability = Durability(state / "journal", state / "services", CHECKPOINT_BYTES, durable)
    durability.install()
    sockets.install()
    streams.install()
    queries.install()
    queues.install()
    routing.install()
    admission.install()
    identities.install()
    arrivals.install()
    ministack: Any = import_module("ministack.app")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == SAVE_PATH and scope["method"] == "POST":
            durability.save()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        await ministack.app(scope, receive, send)

    return admission.guarded(application)


def bind(port: int) -> socket.socket:
    """Return a socket on the loopback interface; end with a sentence when the port is taken.

    It listens only once the state is restored: before, a connection is refused.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        sys.exit(f"port {port} of 127.0.0.1 is taken ({error.strerror})")
    return listener


async def serve(application: Any, listener: socket.socket) -> None:
    """Serve `application` until a signal ends it.

    uvicorn on uvloop takes 40 % less processor time a request than the Hypercorn that MiniStack would start.
    """
    uvicorn: Any = import_module("uvicorn")
    config = uvicorn.Config(
        application,
        access_log=False,
        backlog=2048,
        date_header=False,
        lifespan="on",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=75,
        ws_ping_interval=None,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
    )
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    main()
