"""Pages before Lighthouse: its four scores, and when a simulated phone shows them.

Lighthouse measures with this machine's processor and simulates a slower one and a slow network (its "simulated
throttling"). The factor of the processor is smaller on a slow machine, so that the simulated phone stays the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.summary import percentile
from local import setup
from local.demo import NAME, OWNER, seed
from local.gallery import ensure
from local.stack import LocalStack
from tests.e2e.browser import FLAGS, installed_browser
from tests.integration.people import People
from tests.machine import slowness

Json = dict[str, Any]

SOURCES = Path(__file__).resolve().parent
INSTALLED = setup.ROOT / ".local" / "lighthouse"
RUN_SECONDS = 300.0
ATTEMPTS = 3
"""Chromium loses the trace of a page now and then on a busy machine."""
PHONE = 4.0
"""How many times slower the simulated phone is than the usual machine: Lighthouse's own factor."""
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
NOT_JUDGED = "is-crawlable"
"""The audit that wants search engines to list a page. Our pages forbid that (`web_assets.headers`)."""
PASSED = 0.9
"""The score of an audit from which Lighthouse shows it in green."""
METRICS: Mapping[str, str] = {
    "first-contentful-paint": "fcp_ms",
    "largest-contentful-paint": "lcp_ms",
    "total-blocking-time": "tbt_ms",
    "cumulative-layout-shift": "cls",
    "total-byte-weight": "bytes",
}


@dataclass(frozen=True)
class Subject:
    """A page to judge."""

    name: str
    url: str
    cookie: str = ""
    public: bool = False
    """Whether the score of SEO applies: strangers can open the page."""


def measure(state: Path, runs: int) -> Json:
    """Judge every page on the running stage in the folder ``state``, ``runs`` times each, and return the medians.

    Raises:
        SystemExit: npm could not install Lighthouse.
        RuntimeError: Lighthouse could not judge a page.
    """
    home = install()
    machine = slowness()
    factor = cpu_factor(machine)
    pages: list[Json] = []
    for subject in prepare(state):
        reports = [run(home, subject, factor) for _ in range(runs)]
        pages.append({"page": subject.name, "public": subject.public, **summary(reports)})
    return {"runs": runs, "slowness": round(machine, 2), "cpu_factor": factor, "pages": pages}


def cpu_factor(slowness_of_machine: float) -> float:
    """Return the factor by which Lighthouse slows this machine down, so that it simulates the same phone everywhere."""
    return round(max(1.0, PHONE / slowness_of_machine), 2)


def install() -> Path:
    """Bring Lighthouse up to date and return its folder. This is quick if nothing has changed."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in (".npmrc", "package.json", "package-lock.json"):
        shutil.copyfile(SOURCES / name, INSTALLED / name)
    setup.install_npm_packages(INSTALLED)
    return INSTALLED


def prepare(state: Path) -> Sequence[Subject]:
    """Make the demo on the stage, unless it exists, and return its pages."""
    stack = LocalStack(state)
    stack.attach()
    seed(stack)
    owner = People(stack).signed_in(OWNER)
    mine = owner.http.get("/api/v1/workspaces").json()["data"]
    workspace = next(each["id"] for each in mine if each["name"] == NAME)
    console = f"{stack.url}/console/{workspace}"
    public = {
        "share": ensure(stack.url, state / "lighthouse-share"),
        "API reference": f"{stack.url}/api/docs",
        "welcome": f"{stack.url}/",
        "sign-in": f"{stack.url}/login",
    }
    sections = ("usage", "calls", "members", "keys", "budgets")
    private = {"overview": console, **{name: f"{console}/{name}" for name in sections}}
    return [
        *(Subject(name, url, public=True) for name, url in public.items()),
        *(Subject(name, url, owner.cookie) for name, url in private.items()),
    ]


def run(home: Path, subject: Subject, factor: float) -> Json:
    """Judge a page once, and return Lighthouse's report."""
    for _ in range(ATTEMPTS - 1):
        with suppress(RuntimeError):
            return _attempt(home, subject, factor)
    return _attempt(home, subject, factor)


def _attempt(home: Path, subject: Subject, factor: float) -> Json:
    with tempfile.TemporaryDirectory() as folder:
        headers, report = Path(folder, "headers.json"), Path(folder, "report.json")
        headers.write_text(json.dumps({"Cookie": f"opencode_session={subject.cookie}"} if subject.cookie else {}))
        command = [
            *("node", home / "node_modules" / "lighthouse" / "cli" / "index.js", subject.url, "--quiet"),
            *("--output=json", f"--output-path={report}", f"--extra-headers={headers}"),
            *(f"--only-categories={','.join(CATEGORIES)}", f"--skip-audits={NOT_JUDGED}"),
            *("--throttling-method=simulate", f"--throttling.cpuSlowdownMultiplier={factor}"),
            f"--chrome-flags={' '.join(['--headless=new', *FLAGS])}",
        ]
        environment = {**os.environ, "CHROME_PATH": chrome(), "NODE_OPTIONS": ""}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False, cwd=folder
        )
        if done.returncode or not report.exists():
            raise RuntimeError(f"Lighthouse could not judge {subject.url}: {done.stderr[-1000:]}")
        found: Json = json.loads(report.read_text())
    if any(found["categories"][name]["score"] is None for name in CATEGORIES):
        raise RuntimeError(f"Lighthouse could not score {subject.url}: {found.get('runtimeError') or 'no trace'}")
    return found


def chrome() -> str:
    """Return the path of the browser that the tests use."""
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return installed_browser(own) or str(own)


def summary(reports: Sequence[Json]) -> Json:
    """Return the medians of scores, from 0 to 100, and of metrics; and the audits that no run passed."""
    scores = {name: [100 * each["categories"][name]["score"] for each in reports] for name in CATEGORIES}
    metrics = {ours: [each["audits"][name]["numericValue"] for each in reports] for name, ours in METRICS.items()}
    return {
        **{name: round(percentile(values, 50)) for name, values in scores.items()},
        **{name: round(percentile(values, 50), 3) for name, values in metrics.items()},
        "benchmark_index": round(percentile([each["environment"]["benchmarkIndex"] for each in reports], 50)),
        "failed": sorted(set.intersection(*(failed(each) for each in reports))),
    }


def failed(report: Json) -> set[str]:
    """Return the audits that a page failed and that count for a score."""
    weights = {ref["id"]: ref["weight"] for name in CATEGORIES for ref in report["categories"][name]["auditRefs"]}
    scores = {name: report["audits"][name]["score"] for name, weight in weights.items() if weight}
    # An audit that does not apply to the page has no score.
    return {name for name, score in scores.items() if score is not None and score < PASSED}
