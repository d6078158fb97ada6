#!/bin/sh
# Starts the hub: in a container, and beside the emulator (local/hub.py). One process, since each has its own address.
exec "${PYTHON:-python3}" -m uvicorn handler:app \
  --host "${HOST:-127.0.0.1}" --port "${HUB_PORT:-8080}" --workers 1 \
  --loop uvloop --http opencode_cloud.kit.http_protocol:HttpProtocol \
  --ws opencode_cloud.kit.websocket_server:ServerSocket --lifespan on \
  --no-access-log --no-server-header --no-date-header --no-proxy-headers --log-level warning \
  --backlog 4096 --timeout-keep-alive "${KEEP_ALIVE:-75}" --timeout-graceful-shutdown "${HUB_GRACE:-20}"
