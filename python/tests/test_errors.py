"""What goes wrong: the user sees the program's message, and the next prediction works."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import is_alive, pid_of

from midashi import (
    Classifier,
    MidashiError,
    PredictError,
    PredictTimeout,
    ProcessDied,
    ProgramNotFound,
    ProgramNotStarted,
)


def test_a_wrong_column_is_the_programs_message(program, model, titles, tmp_path):
    with pa.ipc.new_stream(str(tmp_path / "in.arrows"), titles.schema) as file:
        file.write_table(titles)
    command = [program, "--model", model, "--input", tmp_path / "in.arrows", "--text-column", "headline"]
    told = subprocess.run([*command, "--format", "arrow"], capture_output=True, text=True)
    with Classifier(model, program=program, text_column="headline") as classifier:
        with pytest.raises(PredictError) as raised:
            classifier.predict(titles)
        assert not isinstance(raised.value, ProcessDied)
    assert (raised.value.exit_code, told.returncode) == (2, 2)
    assert f"error: {raised.value.message}" == told.stderr.splitlines()[-1]
    assert 'found "id", "title"' in str(raised.value)


def test_a_column_of_numbers_is_the_programs_message(classifier):
    with pytest.raises(PredictError, match='column "title" is Int64; expected text'):
        classifier.predict(pa.table({"title": [1, 2]}))
    # The same classifier goes on.
    assert classifier.predict(pa.table({"title": ["逆転勝利"]})).num_rows == 1


def test_an_added_column_that_exists_is_an_error_with_advice(classifier):
    with pytest.raises(PredictError, match='"predicted" already; give another name .* --prefix'):
        classifier.predict(pa.table({"title": ["a"], "predicted": ["b"]}))


@pytest.mark.parametrize("damage", ["missing folder", "no labels", "cut weights"])
def test_a_corrupt_model_is_the_programs_message(program, model, tmp_path, damage):
    folder = tmp_path / "model"
    if damage != "missing folder":
        shutil.copytree(model, folder)
    if damage == "no labels":
        os.remove(folder / "labels.json")
    if damage == "cut weights":
        for name in ("classifier.onnx", "model.safetensors"):
            os.truncate(folder / name, os.path.getsize(folder / name) // 2)
    with Classifier(folder, program=program) as classifier:
        with pytest.raises(PredictError) as raised:
            classifier.predict(pa.table({"title": ["a"]}))
    assert raised.value.exit_code == 2
    assert str(folder) in raised.value.message


def test_a_killed_process_is_an_error_and_the_next_prediction_starts_another(classifier, titles):
    def batches():
        for number, batch in enumerate(titles.to_batches(max_chunksize=100)):
            if number == 4:
                os.kill(pid_of(classifier), signal.SIGKILL)
            yield batch

    with pytest.raises(ProcessDied, match="ended by SIGKILL") as raised:
        list(classifier.predict(batches()))
    assert raised.value.signal == signal.SIGKILL
    assert classifier.predict(titles).num_rows == titles.num_rows


def test_a_process_that_was_killed_between_predictions_is_replaced(classifier, titles):
    classifier.predict(titles.slice(0, 1))
    pid = pid_of(classifier)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert classifier.predict(titles.slice(0, 3)).num_rows == 3
    assert not is_alive(pid)


def test_a_silent_process_is_ended_after_the_timeout(program, model, titles):
    with Classifier(model, program=program, timeout=1.0) as classifier:
        [batch] = titles.combine_chunks().to_batches()
        classifier.predict(batch)
        pid = pid_of(classifier)
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(PredictTimeout, match="no sign of life for 1 seconds .* longer timeout"):
            classifier.predict(batch)
        assert 1.0 <= time.monotonic() - started < 5
        assert not is_alive(pid)
        assert classifier.predict(batch).num_rows == batch.num_rows


def test_a_model_that_takes_too_long_to_load_is_ended(program, model):
    with Classifier(model, program=program, start_timeout=0.001) as classifier:
        with pytest.raises(PredictTimeout, match="longer start_timeout") as raised:
            classifier.predict(pa.table({"title": ["a"]}))
        assert isinstance(raised.value, TimeoutError)


def test_an_error_of_the_input_is_the_callers_and_ends_the_process(classifier, titles):
    def batches():
        yield from titles.to_batches(max_chunksize=100)[:3]
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        list(classifier.predict(batches()))
    assert classifier._process is None
    assert classifier.predict(titles).num_rows == titles.num_rows


def test_one_call_at_a_time(classifier, titles):
    answers = classifier.predict(titles.to_batches(max_chunksize=100))
    next(answers)
    with pytest.raises(MidashiError, match="answering another call"):
        classifier.predict(titles)
    pid = pid_of(classifier)
    answers.close()
    assert not is_alive(pid)
    assert classifier.predict(titles).num_rows == titles.num_rows


def test_an_iterator_of_a_closed_classifier_says_so(program, model, titles):
    classifier = Classifier(model, program=program)
    answers = classifier.predict(titles.to_batches(max_chunksize=100))
    next(answers)
    pid = pid_of(classifier)
    classifier.close()
    assert not is_alive(pid)
    with pytest.raises(MidashiError, match="closed before this iterator was finished"):
        next(answers)


def test_a_program_that_is_something_else_is_an_error(model, titles):
    with Classifier(model, program="/bin/ls") as classifier, pytest.raises(PredictError, match="exit code 2"):
        classifier.predict(titles)


@pytest.mark.parametrize("code", [1, 101])
def test_the_last_lines_of_a_program_that_cannot_go_on_are_the_message(titles, tmp_path, code):
    lines = [*(f"line {number}" for number in range(20)), "libc.so.6: version `GLIBC_2.99' not found"]
    (tmp_path / "lines").write_text("\n".join(lines), encoding="utf-8")
    other = executable(tmp_path, f"#!/bin/sh\ncat '{tmp_path}/lines' >&2\nexit {code}\n".encode())
    with Classifier("model", program=other) as classifier, pytest.raises(PredictError) as raised:
        classifier.predict(titles)
    assert raised.value.exit_code == code
    first, *last = str(raised.value).splitlines()
    assert first == f"midashi-predict ended with exit code {code} before it had answered every batch"
    assert last == lines[-5:]
    assert list(raised.value.notes) == lines[:-5]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x7fELF of another processor", "Exec format error; this machine is .* another processor"),
        (b"#!/no/such/loader\n", "No such file or directory; the loader that it names is missing"),
    ],
    ids=["processor", "loader"],
)
def test_a_program_that_the_system_cannot_run_is_an_error(titles, tmp_path, content, reason):
    other = executable(tmp_path, content)
    classifier = Classifier("model", program=other)
    for _ in range(2):
        with pytest.raises(ProgramNotStarted, match=f"{other} cannot be started: {reason}"):
            classifier.predict(titles)


def test_signals_have_a_reason():
    assert "memory ran out" in str(ProcessDied(signal.SIGKILL))
    assert "truncated or replaced while it was in use" in str(ProcessDied(signal.SIGBUS))
    assert str(ProcessDied(signal.SIGTERM)) == "midashi-predict was ended by SIGTERM"


def test_a_missing_program_is_an_error_with_the_places(model, titles, monkeypatch, tmp_path):
    with pytest.raises(ProgramNotFound, match="program= names /no/such, expected an executable file"):
        Classifier(model, program="/no/such").predict(titles)
    monkeypatch.setenv("MIDASHI_PREDICT", str(tmp_path))
    with pytest.raises(ProgramNotFound, match=f"MIDASHI_PREDICT names {tmp_path}"):
        Classifier(model).predict(titles)
    monkeypatch.delenv("MIDASHI_PREDICT")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="midashi/bin/midashi-predict, and PATH has none; install the wheel"):
        Classifier(model).predict(titles)


def test_the_program_is_found_by_its_variable_and_in_path(program, model, titles, predicted, monkeypatch, tmp_path):
    monkeypatch.setenv("MIDASHI_PREDICT", program)
    with Classifier(model) as classifier:
        assert classifier.predict(titles)["predicted"].equals(predicted["predicted"])
    monkeypatch.delenv("MIDASHI_PREDICT")
    (tmp_path / "midashi-predict").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with Classifier(model) as classifier:
        assert classifier.predict(titles)["predicted"].equals(predicted["predicted"])


def test_onnxruntime_is_the_named_one(program, model, titles, tmp_path):
    with pytest.raises(ProgramNotFound, match="onnxruntime= names /no/such"):
        Classifier(model, program=program, onnxruntime="/no/such").predict(titles)
    (tmp_path / "libonnxruntime.so").write_bytes(b"no library")
    with Classifier(model, program=program, onnxruntime=tmp_path / "libonnxruntime.so") as classifier:
        with pytest.raises(PredictError, match=str(tmp_path / "libonnxruntime.so")):
            classifier.predict(titles)


def test_a_configuration_is_read_only_if_it_is_named(classifier, titles, monkeypatch, tmp_path):
    (tmp_path / "pipeline.toml").write_text("[tool]\nname = 'another project'\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIDASHI_CONFIG", raising=False)
    assert classifier.predict(titles.slice(0, 1)).num_rows == 1
    classifier.close()
    monkeypatch.setenv("MIDASHI_CONFIG", "pipeline.toml")
    with pytest.raises(PredictError, match="pipeline.toml: unknown section tool"):
        classifier.predict(titles.slice(0, 1))


def test_the_threads_are_those_asked_for(program, model, titles, monkeypatch):
    monkeypatch.setenv("MIDASHI_SET", "run.name='a b' ", prepend=" ")
    for threads in (1, 2):
        with Classifier(model, program=program, threads=threads) as classifier:
            classifier.predict(titles.slice(0, 1))
            assert f"device cpu, {threads} threads" in classifier._process._notes.lines()


@pytest.mark.parametrize(
    "error",
    [
        PredictError("a message", 2, ("a note",)),
        ProcessDied(9, ("a note",)),
        PredictTimeout("timeout", 1.5, ("a note",)),
        ProgramNotFound("not there"),
        ProgramNotStarted("not for this machine"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_from_worker_to_driver(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error) != ""
    assert copy.__dict__ == error.__dict__


def executable(folder: Path, content: bytes) -> Path:
    """A program with this content."""
    path = folder / "program"
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_a_value_that_begins_with_a_hyphen_is_a_value(program, model):
    with Classifier(model, program=program, prefix="-", text_column="-t") as classifier:
        answer = classifier.predict(pa.table({"-t": ["逆転勝利"]}))
    assert answer.column_names == ["-t", "-predicted", "-probability"]
