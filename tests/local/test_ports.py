"""Ports for local programs: no two programs that start at the same time get the same one."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import processes
from local.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
ANOTHER_PROCESS = """
import sys
from local import processes
processes._PORTS = type("Chance", (), {"choice": staticmethod(lambda _: int(sys.argv[1]))})
print(processes.free_port(), flush=True)
sys.stdin.read()
"""


def offer(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Let chance offer these ports, in this order."""
    offered = iter(ports)
    chance = type("Chance", (), {"choice": staticmethod(lambda _: next(offered))})
    monkeypatch.setattr(processes, "_PORTS", chance)


def test_a_process_never_gets_a_port_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = free_port(), free_port()
    monkeypatch.setattr(processes, "_RESERVED", {first})
    offer(monkeypatch, first, first, second)
    assert free_port() == second


def test_a_port_that_another_process_has_chosen_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, other = free_port(), free_port()
    processes.release(taken)
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(taken)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as another:
        assert another.stdout is not None
        assert int(another.stdout.readline()) == taken
        processes.release(other)
        offer(monkeypatch, taken, other)
        assert free_port() == other
        another.communicate()
    offer(monkeypatch, taken)
    assert free_port() == taken


def test_a_port_that_is_bound_and_does_not_listen_yet_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, other = free_port(), free_port()
    processes.release(starting)
    processes.release(other)
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", starting))
        offer(monkeypatch, starting, other)
        assert free_port() == other
