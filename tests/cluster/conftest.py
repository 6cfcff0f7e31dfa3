"""The bundle, the titles and the predictions of one plain process, which every engine must repeat."""

import os
import subprocess
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import titles

ROOT = titles.ROOT
EXAMPLES = ROOT / "examples/cluster"
MODEL = Path(os.environ.get("MIDASHI_TEST_MODEL", ROOT / "artifacts/cluster/model"))
MANY, FEW = 200_000, 20_000


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """The archive that a cluster's machines get."""
    archive = tmp_path_factory.mktemp("archive") / "bundle.tar.gz"
    subprocess.run([EXAMPLES / "bundle.sh", MODEL, archive], check=True)
    return archive


@pytest.fixture(scope="session")
def bundle(archive, tmp_path_factory) -> Path:
    """The unpacked archive."""
    folder = tmp_path_factory.mktemp("bundle") / "midashi"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="tar")
    return folder


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Path:
    """A folder with 200,000 titles in eight Parquet files."""
    return titles.write(tmp_path_factory.mktemp("many") / "titles", MANY)


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> Path:
    """A folder with the first 20,000 of them."""
    return titles.write(tmp_path_factory.mktemp("few") / "titles", FEW)


@pytest.fixture(scope="session")
def expected(bundle, many, tmp_path_factory) -> pa.Table:
    """The predictions for all titles of one process with one thread."""
    return plain(bundle, many, tmp_path_factory.mktemp("expected"))


@pytest.fixture(scope="session")
def expected_few(bundle, few, tmp_path_factory) -> pa.Table:
    """Its predictions for the first titles."""
    return plain(bundle, few, tmp_path_factory.mktemp("expected_few"))


def plain(bundle: Path, inputs: Path, folder: Path) -> pa.Table:
    """The predictions of one process with one thread, in the rows' order."""
    subprocess.run(predict(bundle, f"{inputs}/*.parquet", folder / "predicted.parquet"), check=True)
    table = pyarrow.parquet.read_table(folder / "predicted.parquet")
    assert table["id"].to_pylist() == list(range(table.num_rows))
    return table


def predict(bundle: Path, inputs: str, output: Path, threads: int = 1) -> list[str | Path]:
    """The command of one plain process."""
    texts = ["--input", inputs, "--text-column", "title", "--output", output, "--all"]
    return [bundle / "predict.sh", "--set", f"run.threads={threads}", *texts]
