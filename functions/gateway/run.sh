#!/bin/sh
# Starts the gateway: under AWS Lambda Web Adapter, in a container, and beside the emulator (local/gateway.py).
if [ -n "$LAMBDA_TASK_ROOT" ]; then
  # The runtime's own search path: layers, and the SDK that it contains.
  export PYTHONPATH="/opt/python:$LAMBDA_TASK_ROOT:${LAMBDA_RUNTIME_DIR:-/var/runtime}"
  cd "$LAMBDA_TASK_ROOT" || exit 1
fi
exec "${PYTHON:-python3}" -m uvicorn handler:app \
  --host "${HOST:-127.0.0.1}" --port "${PORT:-8080}" --workers "${GATEWAY_WORKERS:-1}" \
  --loop uvloop --http httptools --ws none --lifespan on \
  --no-access-log --no-server-header --no-date-header --log-level warning \
  --backlog 2048 --timeout-keep-alive "${KEEP_ALIVE:-75}" --timeout-graceful-shutdown "${GATEWAY_GRACE:-20}"
