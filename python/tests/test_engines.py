"""Engines on one machine: each gives the rows of midashi-predict. tests/cluster starts real clusters."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import threading
import time
from types import SimpleNamespace

import pyarrow as pa
import pytest
from conftest import is_alive, pid_of

import midashi
from midashi.engines.ray import ATTEMPTS, Predictor
from midashi.shared import shared


@pytest.fixture
def settings(program):
    return {"program": program, "threads": 1}


def test_pandas(titles, predicted, model, settings):
    pandas = pytest.importorskip("pandas")
    frame = titles.slice(0, 100).to_pandas().set_index("id")
    frame["kind"] = pandas.Categorical(["a", "b"] * 50)
    frame["nothing"] = [None] * 100
    frame.index = ["same"] * 50 + list(range(50))
    before = frame.copy()
    answer = midashi.for_pandas(frame, model, **settings)
    pandas.testing.assert_frame_equal(answer[frame.columns], before)
    pandas.testing.assert_frame_equal(frame, before)
    assert answer["predicted"].tolist() == predicted["predicted"].to_pylist()[:100]
    assert str(answer["probability"].dtype) == "float32"


def test_pandas_columns_that_nobody_reads_may_hold_anything(titles, predicted, model, settings):
    pandas = pytest.importorskip("pandas")
    frame = titles.slice(0, 100).to_pandas().set_index("id")
    frame["mixed"] = [1, "a"] * 50
    frame[7] = [object()] * 100
    answer = midashi.for_pandas(frame, model, text_column="title", **settings)
    pandas.testing.assert_frame_equal(answer[frame.columns], frame)
    assert answer["predicted"].tolist() == predicted["predicted"].to_pylist()[:100]
    with pytest.raises(midashi.PredictError, match='no such column; found "title", "mixed", "7"'):
        midashi.for_pandas(frame, model, text_column="headline", **settings)
    with pytest.raises(midashi.PredictError, match='"predicted" already; give another name .* --prefix'):
        midashi.for_pandas(answer, model, text_column="title", **settings)


def test_polars(titles, predicted, model, settings):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(titles.slice(0, 100)).with_columns(
        kind=polars.Series(["a", "b"] * 50, dtype=polars.Categorical), text=polars.col("title").cast(polars.Categorical)
    )
    answer = midashi.for_polars(frame, model, text_column="text", **settings)
    assert answer.select(frame.columns).equals(frame)
    assert answer.schema["kind"] == polars.Categorical
    assert answer["predicted"].to_list() == predicted["predicted"].to_pylist()[:100]
    assert answer.schema["probability"] == polars.Float32


def test_duckdb(titles, predicted, model, settings):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        rows = titles.slice(0, 100)
        relation = connection.sql("select id, title, [1, 2] as numbers from rows order by id")
        answer = midashi.for_duckdb(relation, model, **settings)
        counts = connection.sql("select predicted, count(*) from answer group by all order by all").fetchall()
    assert isinstance(answer, pa.Table)
    assert answer["numbers"].to_pylist() == [[1, 2]] * 100
    expected = predicted.slice(0, 100)["predicted"].to_pylist()
    assert answer.sort_by("id")["predicted"].to_pylist() == expected
    assert counts == [(category, expected.count(category)) for category in sorted(set(expected))]


def test_spark(spark, titles, predicted, model, settings):
    rows = titles.to_pylist()
    frame = spark.createDataFrame(rows, "id string not null, title string").repartition(3)
    answer = midashi.for_spark(frame, model, top=2, **settings)
    assert answer.columns == ["id", "title", "predicted", "probability", "top"]
    found = {row["id"]: row for row in answer.collect()}
    assert len(found) == len(rows)
    assert {name: row["predicted"] for name, row in found.items()} == dict(
        zip(predicted["id"].to_pylist(), predicted["predicted"].to_pylist())
    )
    assert all(row["top"][0]["category"] == row["predicted"] for row in found.values())


def test_spark_sees_our_message(spark, titles, model, settings):
    frame = spark.createDataFrame(titles.slice(0, 10).to_pylist())
    with pytest.raises(Exception, match="--text-column headline: there is no such column"):
        midashi.for_spark(frame, model, text_column="headline", **settings).collect()
    with pytest.raises(Exception, match="no/such/model"):
        midashi.for_spark(frame, "no/such/model", **settings).collect()


def test_ray(ray, titles, predicted, model, settings):
    import ray.data

    dataset = ray.data.from_arrow(titles)
    assert dataset.num_blocks() == 1
    answer = midashi.for_ray(dataset, model, concurrency=1, batch_size=100, **settings).materialize()
    # Ray would give the rows of one block to one actor.
    assert answer.num_blocks() == -(-titles.num_rows // 100) > 1
    found = {row["id"]: row["predicted"] for row in answer.take_all()}
    assert found == dict(zip(predicted["id"].to_pylist(), predicted["predicted"].to_pylist()))


def test_ray_sees_our_message(ray, titles, model, settings):
    import ray.data

    dataset = ray.data.from_arrow(titles)
    with pytest.raises(Exception, match="--text-column headline: there is no such column"):
        midashi.for_ray(dataset, model, text_column="headline", **settings).take_all()


def test_an_actor_has_one_thread_by_default(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "ray.data", SimpleNamespace(ActorPoolStrategy=SimpleNamespace))
    dataset = SimpleNamespace(map_batches=lambda actor, **options: options)
    dataset.repartition = lambda **options: dataset
    for given, threads in [({}, 1), ({"threads": None}, 1), ({"threads": 3}, 3)]:
        options = midashi.for_ray(dataset, "model", **given)
        [classifier] = options["fn_constructor_args"]
        assert (options["num_cpus"], classifier.settings.threads) == (threads, threads)


def test_a_spark_worker_has_a_thread_for_each_core_of_its_task(classifier, monkeypatch):
    types = pytest.importorskip("pyspark.sql.types")
    chosen = []
    monkeypatch.setattr("midashi.engines.spark.shared", lambda settings: chosen.append(settings) or classifier)
    session = SimpleNamespace(conf={"spark.task.cpus": "2"})
    frame = SimpleNamespace(
        sparkSession=session, schema=types.StructType(), mapInArrow=lambda predict, schema: list(predict(iter(())))
    )
    for given in ({}, {"threads": None}, {"threads": 3}):
        midashi.for_spark(frame, "model", **given)
    assert [settings.threads for settings in chosen] == [2, 2, 3]


@pytest.mark.parametrize("kills", [1, ATTEMPTS])
def test_a_ray_actor_repeats_the_batch_of_a_killed_program(titles, predicted, model, settings, kills, caplog):
    classifier = midashi.Classifier(model, **settings)
    table = pa.concat_tables([titles] * 8)

    def kill():
        killed = process = None
        for _ in range(kills):
            while process is killed or process is None:
                if over.is_set():
                    return
                time.sleep(0.01)
                process = classifier._process
            process._popen.send_signal(signal.SIGKILL)
            killed = process

    over, killer = threading.Event(), threading.Thread(target=kill, daemon=True)
    killer.start()
    with classifier:
        if kills < ATTEMPTS:
            answer = Predictor(classifier)(table)
            assert answer["predicted"].equals(pa.concat_tables([predicted] * 8)["predicted"])
        else:
            with pytest.raises(midashi.ProcessDied):
                Predictor(classifier)(table)
    over.set()
    killer.join()
    assert caplog.text.count("ended by SIGKILL") == min(kills, ATTEMPTS - 1)


def test_a_worker_keeps_one_model_until_it_changes(titles, model, settings, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    chosen = midashi.Classifier(tmp_path / "model", **settings).settings
    shared(chosen).predict(titles)
    pid = pid_of(shared(chosen))
    shared(chosen).predict(titles)
    assert pid_of(shared(chosen)) == pid, "the model is loaded once"
    os.utime(tmp_path / "model" / "labels.json")
    shared(chosen).predict(titles)
    assert pid_of(shared(chosen)) != pid
    assert not is_alive(pid)
    shared(chosen).close()


def test_a_worker_sees_a_model_that_was_copied_with_its_times(titles, model, settings, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    chosen = midashi.Classifier(folder, **settings).settings
    shared(chosen).predict(titles)
    pid = pid_of(shared(chosen))
    times = {path: path.stat() for path in (folder / "README.md", folder / "SHA256SUMS")}
    card, digests = (path.read_bytes() for path in times)
    changed = card[:-1] + b" "
    (folder / "README.md").write_bytes(changed)
    sha256 = (hashlib.sha256(content).hexdigest().encode() for content in (card, changed))
    (folder / "SHA256SUMS").write_bytes(digests.replace(*sha256))
    for path, stat in times.items():
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    shared(chosen).predict(titles)
    assert pid_of(shared(chosen)) != pid
    shared(chosen).close()


def test_a_worker_sees_a_change_of_a_model_without_digests(model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    (folder / "SHA256SUMS").unlink()
    chosen = midashi.Classifier(folder).settings
    first = shared(chosen)
    assert shared(chosen) is first
    os.utime(folder / "labels.json")
    assert shared(chosen) is not first
