"""The examples of the README run as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path, titles, program, model, monkeypatch):
    """A folder with the files that the examples name."""
    pq.write_table(titles, tmp_path / "titles.parquet")
    (tmp_path / "artifacts/article").mkdir(parents=True)
    (tmp_path / "artifacts/article/model").symlink_to(model)
    monkeypatch.setenv("MIDASHI_PREDICT", program)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(example: str, **names: object) -> dict[str, object]:
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102
    return names


def test_all_examples_are_tested():
    assert len(EXAMPLES) == 5


def test_tables(folder, predicted):
    run(EXAMPLES[0])
    assert pq.read_table("predicted.parquet")["predicted"].equals(predicted["predicted"])


def test_batches(folder, predicted, capsys):
    run(EXAMPLES[1])
    assert capsys.readouterr().out == f"1440 {predicted['predicted'][0]}\n"


def test_local_engines(folder, predicted):
    engines = {name: pytest.importorskip(name) for name in ("pandas", "polars", "duckdb")}
    names = run(EXAMPLES[2], **engines)
    assert isinstance(names["predicted"], pa.Table)
    assert names["predicted"]["predicted"].equals(predicted["predicted"])
    assert names["frame"]["predicted"].to_list() == predicted["predicted"].to_pylist()


@pytest.mark.parametrize(("engine", "example"), [("spark", 3), ("ray", 4)])
def test_engines_of_many_machines(folder, predicted, request, engine, example):
    session = request.getfixturevalue(engine)
    # A relative path begins in the folder of the worker.
    text = EXAMPLES[example].replace('"artifacts', f'"{folder}/artifacts').replace('("', f'("{folder}/')
    text = text.replace(f"{folder}/{folder}", str(folder))
    run(text, **{engine: session})
    found = {row["id"]: row["predicted"] for row in pq.read_table(folder / "predicted").to_pylist()}
    assert found == dict(zip(predicted["id"].to_pylist(), predicted["predicted"].to_pylist()))
