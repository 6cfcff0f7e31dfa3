"""Any number of headlines, recombined from those of the sample corpus. The first ones do not depend on how many follow."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = pa.schema([("id", pa.int64()), ("title", pa.string()), ("day", pa.int32())])


def headlines() -> list[str]:
    """The headlines of the sample corpus: the third line of its files."""
    files = sorted((ROOT / "data/sample/text").glob("*/*-*.txt"))
    return [file.read_text(encoding="utf-8").split("\n")[2] for file in files]


def titles(count: int) -> pa.Table:
    """A table of `count` titles with ids from 0. Some are missing, empty, or several headlines long."""
    sources, chance = headlines(), random.Random(2010)
    rows = [title(number, sources, chance) for number in range(count)]
    return pa.table(
        {"id": range(count), "title": rows, "day": [number % 365 for number in range(count)]}, schema=SCHEMA
    )


def title(number: int, sources: list[str], chance: random.Random) -> str | None:
    first, second = chance.choice(sources), chance.choice(sources)
    match number % 1000:
        case 0:
            return None
        case 1:
            return ""
        case 2:
            return "、".join(chance.choices(sources, k=5))
        case _:
            return first[: len(first) // 2] + second[len(second) // 2 :]


def write(folder: Path, count: int, files: int = 8) -> Path:
    """Writes the titles as a folder of Parquet files, as an engine does."""
    table, rows = titles(count), -(-count // files)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        part = table.slice(number * rows, rows)
        pyarrow.parquet.write_table(part, folder / f"part-{number:05}.parquet", row_group_size=10_000)
    return folder
