"""The bundle, the titles and the predictions of one plain process, which every engine must repeat."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
import titles

ROOT = titles.ROOT
EXAMPLES = ROOT / "examples/cluster"
MODEL = Path(os.environ.get("MIDASHI_MODEL", ROOT / "artifacts/cluster/model"))
MANY, FEW = int(os.environ.get("MIDASHI_TITLES", "200000")), 8_000
# Ray asks the internet otherwise.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Ray's workers have a niceness of 15 by default: beside other programs they would hardly run.
os.environ["RAY_worker_niceness"] = "0"


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
    """A folder with all titles in four Parquet files. Each has several batches, also of 20,000 titles."""
    return titles.write(tmp_path_factory.mktemp("many") / "titles", MANY, files=4)


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> Path:
    """A folder with the first 8,000 of them."""
    return titles.write(tmp_path_factory.mktemp("few") / "titles", FEW)


@pytest.fixture(scope="session")
def expected(bundle, many, tmp_path_factory) -> pa.Table:
    """The predictions for all titles of one process with one thread."""
    return plain(bundle, many, tmp_path_factory.mktemp("expected"))


@pytest.fixture(scope="session")
def expected_few(bundle, few, tmp_path_factory) -> pa.Table:
    """Its predictions for the first titles."""
    return plain(bundle, few, tmp_path_factory.mktemp("expected_few"))


@pytest.fixture(scope="session")
def corrupt_bundle(bundle, tmp_path_factory) -> Path:
    """A bundle with one byte of the model's weights changed."""
    corrupt = tmp_path_factory.mktemp("corrupt")
    shutil.copytree(bundle / "model", corrupt / "model")
    shutil.copy(bundle / "predict.sh", corrupt)
    (corrupt / "midashi").symlink_to(bundle / "midashi")
    with (corrupt / "model/model.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        last = weights.read(1)[0]
        weights.seek(-1, os.SEEK_END)
        weights.write(bytes([last ^ 0xFF]))
    return corrupt


@pytest.fixture(scope="session")
def long_text(tmp_path_factory) -> Path:
    """A folder with three titles, of which the second has 10 MB."""
    table = titles.titles(6).slice(3)
    sizes = [1, 10_000_000 // len(table["title"][1].as_py().encode()), 1]
    texts = [title.as_py() * size for title, size in zip(table["title"], sizes)]
    folder = tmp_path_factory.mktemp("long")
    pyarrow.parquet.write_table(table.set_column(1, "title", pa.array(texts)), folder / "titles.parquet")
    return folder


@pytest.fixture(scope="session")
def expected_long(bundle, long_text, tmp_path_factory) -> pa.Table:
    """Its predictions."""
    output = tmp_path_factory.mktemp("expected_long") / "predicted.parquet"
    subprocess.run(predict(bundle, long_text / "titles.parquet", output), check=True)
    return pyarrow.parquet.read_table(output)


def predict_error(bundle: Path, inputs: Path, *options: str | Path) -> str:
    """The message with which a plain process refuses the rows as a stream."""
    table, stream = pyarrow.parquet.read_table(inputs), pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    command = [bundle / "predict.sh", "--input", "-", "--input-format", "arrow", "--format", "arrow", *options]
    ended = subprocess.run(command, input=stream.getvalue(), capture_output=True)
    assert ended.returncode == 2
    [message] = [line for line in ended.stderr.decode().splitlines() if line.startswith("error: ")]
    return message.removeprefix("error: ")


def plain(bundle: Path, inputs: Path, folder: Path) -> pa.Table:
    """The predictions of one process with one thread, in the rows' order."""
    subprocess.run(predict(bundle, f"{inputs}/*.parquet", folder / "predicted.parquet"), check=True)
    table = pyarrow.parquet.read_table(folder / "predicted.parquet")
    assert table["id"].to_pylist() == list(range(table.num_rows))
    return table


def predict(bundle: Path, inputs: str | Path, output: Path, threads: int = 1) -> list[str | Path]:
    """The command of one plain process."""
    texts = ["--input", inputs, "--text-column", "title", "--output", output, "--all"]
    return [bundle / "predict.sh", "--set", f"run.threads={threads}", *texts]
