"""What the tests need: the program, a fine-tuned model, and real headlines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pyarrow as pa

import pytest

from midashi import Classifier

PROJECT = Path(__file__).parents[2]
# The engines' worker processes import the package too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT / "python/src"), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
# Ray's workers have a niceness of 15 by default: beside other programs they would hardly run.
os.environ["RAY_worker_niceness"] = "0"
# ONNX Runtime and MeCab's dictionary, which `make setup` puts there.
os.environ.setdefault("MIDASHI_SET", f"run.cache={PROJECT / 'cache'}")


def from_environment(variable: str, example: str) -> str:
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"SKIPPED: set {variable}, for example to {example}")
    assert os.path.exists(path), f"{variable} names {path}, which does not exist"
    return os.path.abspath(path)


@pytest.fixture(scope="session")
def program() -> str:
    return from_environment("MIDASHI_PREDICT", "target/release/midashi-predict")


@pytest.fixture(scope="session")
def model() -> str:
    return from_environment("MIDASHI_MODEL", "artifacts/scratch/model")


@pytest.fixture
def classifier(program: str, model: str) -> Iterator[Classifier]:
    with Classifier(model, program=program, threads=1) as classifier:
        yield classifier


@pytest.fixture(scope="session")
def titles() -> pa.Table:
    """The headlines of the sample corpus, each with its id."""
    files = sorted((PROJECT / "data/sample/text").glob("*/*-*.txt"))
    assert len(files) == 1440
    lines = [file.read_text(encoding="utf-8").splitlines()[2] for file in files]
    return pa.table({"id": [file.stem for file in files], "title": lines})


@pytest.fixture(scope="session")
def predicted(program: str, model: str, titles: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The same headlines as the program classifies them in a file."""
    folder = tmp_path_factory.mktemp("reference")
    with pa.ipc.new_stream(str(folder / "titles.arrows"), titles.schema) as file:
        file.write_table(titles)
    command = [program, "--model", model, "--input", folder / "titles.arrows", "--output", folder / "predicted.arrows"]
    environment = {**os.environ, "MIDASHI_SET": f"{os.environ['MIDASHI_SET']} run.threads=1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with pa.ipc.open_stream((folder / "predicted.arrows").read_bytes()) as file:
        return file.read_all()


@pytest.fixture(scope="session")
def spark():
    pytest.importorskip("pyspark")
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="session")
def ray():
    ray = pytest.importorskip("ray")
    # Two actors, and a CPU to read with.
    ray.init(address="local", num_cpus=3, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    yield ray
    ray.shutdown()


def pid_of(classifier: Classifier) -> int:
    """The program's process."""
    assert classifier._process is not None
    return classifier._process._popen.pid


def is_alive(pid: int) -> bool:
    """Whether there is such a process, be it a zombie."""
    return os.path.exists(f"/proc/{pid}")
