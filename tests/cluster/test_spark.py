"""Spark with two executors in processes of their own: `local-cluster[2,1,1024]`, whose numbers are executors, cores, MiB."""

import re
import shutil
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
from conftest import EXAMPLES, predict_error
from jobs import Job, ancestor, kill, working_program
from predictions import assert_same
from processes import has_argument, is_program, programs, wait_until

pyspark = pytest.importorskip("pyspark", reason="PySpark is missing")
pytestmark = pytest.mark.skipif(not shutil.which("java"), reason="Java is missing (Debian: apt-get install default-jre-headless)")

import midashi  # noqa: E402
from pyspark.errors import PySparkException  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402

HOME = Path(pyspark.__file__).parent
MASTER = "local-cluster[2,1,1024]"
EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


@pytest.fixture
def submit(bundle, archive, many, tmp_path):
    """Submits the recipe for all titles; the output is in `tmp_path / "predicted"`."""
    jobs = []

    def submit() -> Job:
        command = [HOME / "bin/spark-submit", "--master", MASTER, "--archives", f"{archive}#midashi"]
        settings = {
            "spark.executorEnv.PYTHONPATH": "midashi",
            # A partition for each row group, more than the executors have cores.
            "spark.sql.files.maxPartitionBytes": "512k",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
            "spark.ui.enabled": "false",
        }
        command += [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
        recipe = [EXAMPLES / "spark/classify_on_spark.py", many, tmp_path / "predicted", "--text-column", "title", "--all"]
        environment = {"PYTHONPATH": "midashi", "PYSPARK_PYTHON": sys.executable}
        jobs.append(Job(command + recipe, bundle.parent, tmp_path / "log", **environment))
        return jobs[-1]

    yield submit
    for job in jobs:
        job.process.kill()
        remove_work(job.log.read_text(errors="replace"))


def test_spark_classifies_every_row_once_in_order(submit, expected, tmp_path):
    submit().finish()
    assert_same(pyarrow.parquet.read_table(tmp_path / "predicted"), expected)

    # Spark's contract: the rows of a partition keep their order.
    parts = [pyarrow.parquet.read_table(part)["id"].to_pylist() for part in (tmp_path / "predicted").glob("part-*")]
    assert len(parts) > 2
    assert all(ids == list(range(ids[0], ids[0] + len(ids))) for ids in parts if ids)


def test_spark_repeats_the_tasks_of_a_killed_executor(submit, expected, tmp_path):
    job = submit()
    program = working_program(job.process.pid)
    executor = ancestor(program, job.process.pid, has_argument(EXECUTOR))
    of_the_executor = programs(executor)
    kill(executor)
    assert job.is_running()

    assert "Lost executor" in job.finish()
    assert_same(pyarrow.parquet.read_table(tmp_path / "predicted"), expected)
    wait_until(lambda: not any(map(is_program, of_the_executor)), "the killed executor's midashi-predict ends")


def test_spark_repeats_the_task_of_a_killed_program(submit, expected, tmp_path):
    job = submit()
    kill(working_program(job.process.pid))
    assert job.is_running()

    said = job.finish()
    assert "midashi-predict was ended by SIGKILL" in said
    assert "Lost task" in said
    assert_same(pyarrow.parquet.read_table(tmp_path / "predicted"), expected)


@pytest.fixture(scope="module")
def spark():
    """A session of this process with the same two executors."""
    settings = {"spark.ui.enabled": "false", "spark.executorEnv.PYTHONPATH": ":".join(sys.path)}
    builder = SparkSession.builder.master(MASTER)
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    application = session.sparkContext.applicationId
    session.stop()
    remove_work(application)


def test_spark_shows_the_message_about_a_wrong_column(spark, bundle, few):
    with pytest.raises(PySparkException) as error:
        midashi.for_spark(spark.read.parquet(str(few)), bundle / "model", text_column="headline").count()
    assert predict_error(bundle, few, "--text-column", "headline") in str(error.value)


def test_spark_shows_the_message_about_a_corrupt_model(spark, few, corrupt_bundle):
    with pytest.raises(PySparkException) as error:
        midashi.for_spark(spark.read.parquet(str(few)), corrupt_bundle / "model").count()
    assert predict_error(corrupt_bundle, few) in str(error.value)


def test_spark_classifies_a_text_of_ten_megabytes(spark, bundle, long_text, expected_long):
    rows = midashi.for_spark(spark.read.parquet(str(long_text)), bundle / "model", all=True)
    assert_same(rows.toArrow(), expected_long)


def remove_work(said: str) -> None:
    """Removes the folders of executors, each with an unpacked bundle, which Spark keeps below its own."""
    for application in set(re.findall(r"app-\d{14}-\d{4}", said)):
        shutil.rmtree(HOME / "work" / application, ignore_errors=True)
