"""`make smoke STAGE=...`: try the main paths of a deployed stage at its public address, and clean up.

KEY=<key of a workspace> also makes a model call, with MODEL=<model>. Without them, that step is skipped and named.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from infra.operations.stages import chosen, client, outputs
from infra.stage import Stage

SECONDS = 60
"""For one answer: a paused database takes half a minute to resume."""

ALARM = "ServerErrors"
ACTION_LOOKS = 10
"""Looks for the action of an alarm, two seconds apart."""


class Failed(Exception):
    """A step did not do what it should. The message says what it did."""


UNREACHED = (httpx.HTTPError, OSError, WebSocketException, BotoCoreError, ClientError)
"""Errors of connections, of handshakes and of AWS."""


def main() -> None:
    """Try the stage that STAGE chooses. End with status 1 if a step fails."""
    stage = chosen()
    cloudformation = client("cloudformation", stage)
    edge = outputs(cloudformation, stage, "edge")
    if edge is None:
        sys.exit(f"Stage {stage.name} is not deployed.")
    steps: list[tuple[str, Callable[[], object]]] = [*public_steps(edge["PublicUrl"])]
    key, model = os.environ.get("KEY"), os.environ.get("MODEL")
    if key and model:
        steps.append(("a model call streams", lambda: stream(edge["PublicUrl"], key, model)))
    if stage.watched:
        steps.append(("an alarm is raised, and sends mail", lambda: raise_alarm(client("cloudwatch", stage), stage)))
    good = run(steps, say=print)
    if not (key and model):
        sys.stdout.write("skipped: a model call (set KEY and MODEL)\n")
    sys.exit(not good)


def run(steps: list[tuple[str, Callable[[], object]]], say: Callable[[str], None]) -> bool:
    """Take all steps, say how each ends, and return whether none failed."""
    good = True
    for name, step in steps:
        try:
            step()
        except (Failed, *UNREACHED) as error:
            good = False
            say(f"FAIL  {name}: {type(error).__name__}: {error}")
        else:
            say(f"ok    {name}")
    return good


def public_steps(url: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the steps that need no credential."""
    yield "sharing: create, sync, read, follow a socket, unshare", lambda: share(url)
    yield "sign-in page, which uses the database", lambda: _get(url, "/login")
    yield "keys of access tokens", lambda: _get(url, "/.well-known/jwks.json")
    yield "the gateway answers", lambda: _get(url, "/zen/v1/health")
    yield "no error is kept by the CDN", lambda: no_kept_error(url)


def share(url: str) -> None:
    """Share a session, read it, follow it live, and remove it again, also after a failure."""
    with httpx.Client(base_url=url, timeout=SECONDS, follow_redirects=True) as http:
        session_id = f"ses_{secrets.token_hex(13)}"
        made = _json(http.post("/api/share", json={"sessionID": session_id}))
        path, proof = f"/api/share/{made['id']}", {"secret": made["secret"]}
        try:
            item = {"type": "session", "data": {"id": session_id, "title": "smoke test", "version": "1"}}
            seq = _json(http.post(f"{path}/sync", json={**proof, "data": [item]}))["seq"]
            titles = [it["data"].get("title") for it in _json(http.get(f"{path}/data"))]
            _require(titles == ["smoke test"], f"the share has {titles}")
            _require(follow(url, made["id"]) == seq, "the socket is not at the share's last number")
        finally:
            removed = http.request("DELETE", path, json=proof)
        _require(removed.status_code == 200, f"unshare answers {removed.status_code}")
        gone = http.get(f"{path}/data").status_code
        _require(gone in (404, 410), f"after unshare, the share answers {gone}")


def follow(url: str, share_id: str) -> int:
    """Resume a share over a socket, and return the number at which it is complete."""
    with connect(f"{url.replace('http', 'ws', 1)}/live", open_timeout=SECONDS) as socket:
        socket.send(json.dumps({"action": "resume", "share": share_id, "after": 0}))
        while (frame := json.loads(socket.recv(timeout=SECONDS)))["type"] != "ready":
            _require(frame["type"] == "items", f"the socket answers {frame['type']}")
        return frame["seq"]


def no_kept_error(url: str) -> None:
    """Ask twice for a share that does not exist: both answers must come from the origin."""
    for _ in range(2):
        answer = httpx.get(f"{url}/share/{secrets.token_hex(11)[:22]}/items", timeout=SECONDS)
        _require(answer.status_code == 404, f"an unknown share answers {answer.status_code}")
        _require("age" not in answer.headers, "CloudFront answers with an error that it has kept")


def stream(url: str, key: str, model: str) -> None:
    """Make a short model call, and require at least two events of its stream."""
    body = {"model": model, "stream": True, "max_tokens": 16, "messages": [{"role": "user", "content": "Say hello."}]}
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.stream("POST", f"{url}/zen/v1/chat/completions", json=body, headers=headers, timeout=SECONDS) as answer:
        _require(answer.status_code == 200, f"the gateway answers {answer.status_code}")
        events = sum(line.startswith("data:") for line in answer.iter_lines())
    _require(events >= 2, f"the stream has {events} events")


def raise_alarm(cloudwatch: Any, stage: Stage, sleep: Callable[[float], None] = time.sleep) -> None:
    """Raise an alarm for a moment, and require that its topic took it. A person checks that the mail arrives."""
    prefix = f"opencode-cloud-{stage.name}-observability-{ALARM}"
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    _require(len(alarms) == 1, f"there are {len(alarms)} alarms {prefix}")
    name, began = alarms[0]["AlarmName"], datetime.now(UTC)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="make smoke: a test, nothing is wrong")
    for _ in range(ACTION_LOOKS):
        history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action", StartDate=began)
        if summaries := [it["HistorySummary"] for it in history["AlarmHistoryItems"]]:
            _require(not any("Failed" in it for it in summaries), f"the alarm did not reach its topic: {summaries}")
            return
        sleep(2)
    raise Failed("the alarm did not act within 20 seconds")


def _get(url: str, path: str) -> None:
    status = httpx.get(f"{url}{path}", timeout=SECONDS, follow_redirects=True).status_code
    _require(status == 200, f"{path} answers {status}")


def _json(answer: httpx.Response) -> Any:
    _require(answer.status_code == 200, f"{answer.request.url.path} answers {answer.status_code}: {answer.text[:200]}")
    return answer.json()


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Failed(otherwise)


if __name__ == "__main__":
    main()
