"""Convert CSV to Parquet with DuckDB, in the process' memory and without network access.

Only ``functions/ledger`` has the layer with DuckDB. It is imported when the first Parquet file is written: docs/
usage.md says why it was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MEMORY = "256MB"
_NUMBERS = ("_tokens", "_microcents", "_ms")
_TYPES = {
    "at": "TIMESTAMP",
    "streamed": "BOOLEAN",
    "byok": "BOOLEAN",
    "estimated": "BOOLEAN",
    "catalogue": "BIGINT",
    "attempts": "BIGINT",
    "status": "BIGINT",
    "cost_usd": "DECIMAL(20,8)",
    "charged_usd": "DECIMAL(20,8)",
}


def convert(source: Path, columns: Sequence[str], target: Path) -> None:
    """Convert the CSV file ``source``, which has no header line, to the Parquet file ``target``."""
    import duckdb  # 60 MB, so batches of the stream must not import it

    types = {name: _type(name) for name in columns}
    texts = [name for name, kind in types.items() if kind == "VARCHAR"]
    with duckdb.connect(config={"memory_limit": MEMORY, "threads": 1, "autoinstall_known_extensions": False}) as engine:
        rows = engine.read_csv(  # pyright: ignore[reportUnknownMemberType]
            str(source),
            header=False,
            auto_detect=False,
            delimiter=",",
            quotechar='"',
            escapechar='"',
            columns=types,
            force_not_null=texts,
        )
        rows.write_parquet(str(target), compression="zstd")  # pyright: ignore[reportUnknownMemberType]


def _type(name: str) -> str:
    return _TYPES.get(name, "BIGINT" if name.endswith(_NUMBERS) else "VARCHAR")
