"""Writes ../../crates/table/tests/fixtures/: small tables as pandas and pyarrow write them, and tables by hand with
everything that RFC 4180 allows, with what pandas and pyarrow read from them (expected.json).

    python table_reference.py

The Rust tests of crates/table read the same files and must find the same cells.
"""

import csv
import json
import random
from pathlib import Path

import pandas
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

FOLDER = Path(__file__).parent / "../../crates/table/tests/fixtures"

# Cells that are hard to quote: delimiters, quotes, line ends, spaces, nothing.
PIECES = ["見出し", "a", ",", ";", "\t", "|", '"', "\n", "\r\n", " ", "😀", "", "か\u3099", "0", "NA", "'", "\\"]


def cells(seed: int, rows: int) -> pandas.DataFrame:
    """Random cells of random pieces. A first cell that is empty would make a blank line."""
    chooser = random.Random(seed)
    text = lambda: "".join(chooser.choice(PIECES) for _ in range(chooser.randrange(5)))
    columns = {"text": ["x" + text() for _ in range(rows)], "label": [text() for _ in range(rows)]}
    return pandas.DataFrame(columns | {"note": [text() for _ in range(rows)]})


def delimited() -> dict[str, tuple[bytes, str]]:
    """CSV files by name, with their delimiter."""
    files = {}
    for name, delimiter, line_end, quoting, mark in [
        ("minimal.csv", ",", "\n", csv.QUOTE_MINIMAL, ""),
        ("crlf_bom.csv", ",", "\r\n", csv.QUOTE_MINIMAL, "\ufeff"),
        ("cr.csv", ",", "\r", csv.QUOTE_ALL, ""),
        ("all_quoted_semicolon.csv", ";", "\r\n", csv.QUOTE_ALL, ""),
        ("pipe.csv", "|", "\n", csv.QUOTE_MINIMAL, ""),
        ("tab.tsv", "\t", "\n", csv.QUOTE_MINIMAL, ""),
    ]:
        frame = cells(len(files), 40)
        text = frame.to_csv(sep=delimiter, lineterminator=line_end, quoting=quoting, index=False)
        files[name] = ((mark + text).encode(), delimiter)
    by_hand = 'text,label,note\nplain,"quo""ted",""\n'
    by_hand += 'mid"quote, padded ,"two\nlines"\n\n"","",""\nlast,no line end,x'
    files["by_hand.csv"] = (by_hand.encode(), ",")
    return files


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, (data, delimiter) in delimited().items():
        (FOLDER / name).write_bytes(data)
        frame = pandas.read_csv(
            FOLDER / name, sep=delimiter, dtype=str, keep_default_na=False, engine="c", encoding="utf-8-sig"
        )
        expected[name] = frame.values.tolist()

    frame = cells(9, 40)
    frame.to_json(FOLDER / "escaped.jsonl", orient="records", lines=True, force_ascii=True)
    expected["escaped.jsonl"] = pandas.read_json(FOLDER / "escaped.jsonl", lines=True, dtype=False).values.tolist()

    table = pa.table(
        {
            "text": pa.array(frame["text"], pa.large_string()),
            "label": pa.array(frame["label"]).dictionary_encode(),
            "note": pa.array(frame["note"], pa.string()),
        }
    )
    pyarrow.parquet.write_table(table, FOLDER / "snappy.parquet", row_group_size=16, compression="snappy")
    pyarrow.parquet.write_table(table, FOLDER / "zstd_v2.parquet", compression="zstd", data_page_version="2.0")
    pyarrow.feather.write_feather(table, FOLDER / "lz4.feather", compression="lz4", chunksize=16)
    with pa.ipc.new_stream(FOLDER / "stream.arrow", table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as out:
        out.write_table(table, max_chunksize=16)
    for name, read in [
        ("snappy.parquet", pyarrow.parquet.read_table),
        ("zstd_v2.parquet", pyarrow.parquet.read_table),
        ("lz4.feather", pyarrow.feather.read_table),
        ("stream.arrow", lambda path: pa.ipc.open_stream(path).read_all()),
    ]:
        expected[name] = [list(row.values()) for row in read(FOLDER / name).to_pylist()]

    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (FOLDER / "expected.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(expected)} tables in {FOLDER.resolve()}")


if __name__ == "__main__":
    main()
