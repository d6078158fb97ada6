"""The table of Lighthouse's scores."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.lighthouse.measuring import CATEGORIES

Json = dict[str, Any]


def print_lighthouse(console: Console, result: Json) -> None:
    """Print scores and metrics of each page. SEO counts only for pages that strangers can open."""
    title = (
        f"Lighthouse, a phone, medians of {result['runs']} (this machine: {result['slowness']} times slower than usual)"
    )
    table = Table(title=title, title_justify="left")
    columns = ("page", *CATEGORIES, "FCP, ms", "LCP, ms", "TBT, ms", "CLS", "bytes", "failed audits")
    for column in columns:
        table.add_column(column, justify="left" if column in ("page", "failed audits") else "right")
    for page in result["pages"]:
        scores = [str(page[name]) if name != "seo" or page["public"] else "-" for name in CATEGORIES]
        times = [f"{page[name]:,.0f}" for name in ("fcp_ms", "lcp_ms", "tbt_ms")]
        rest = (f"{page['cls']:.3f}", f"{page['bytes']:,.0f}", ", ".join(page["failed"]))
        table.add_row(page["page"], *scores, *times, *rest)
    console.print(table)
