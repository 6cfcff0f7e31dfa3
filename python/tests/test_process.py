"""The process: nothing blocks, memory stays flat, and none is left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import is_alive, pid_of

from midashi import Classifier, PredictTimeout
from midashi.process import END_SECONDS, KEPT_BYTES, Notes, Output


def resident(pid: int) -> int:
    """Megabytes of memory."""
    with open(f"/proc/{pid}/status") as status:
        [line] = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


def ends(pid: int, seconds: float = 15.0) -> bool:
    """Waits until there is no such process."""
    limit = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < limit:
        time.sleep(0.02)
    return not is_alive(pid)


def test_memory_is_flat_with_a_slow_reader(classifier, titles):
    # 2 MB a batch, most of it in a column that only travels.
    few = titles.slice(0, 200).append_column("page", pa.array(["x" * 10_000] * 200))
    [batch] = few.combine_chunks().to_batches()
    given = 0

    def batches():
        nonlocal given
        for _ in range(120):
            given += 1
            yield batch

    memory = []
    for number, answer in enumerate(classifier.predict(batches()), 1):
        assert answer.num_rows == 200
        assert given <= number + 1, "the input is read one batch ahead"
        time.sleep(0.01)
        if number in (20, 119):
            memory.append((resident(os.getpid()), resident(pid_of(classifier))))
    (ours, theirs), (ours_later, theirs_later) = memory
    assert ours_later - ours < 40, memory
    assert theirs_later - theirs < 40, memory


def test_batches_larger_than_every_pipe_go_both_ways(classifier, titles):
    page = pa.array(["y" * 100_000] * 200)
    [batch] = titles.slice(0, 200).append_column("page", page).combine_chunks().to_batches()
    answers = list(classifier.predict([batch] * 4))
    assert [answer["page"].equals(batch["page"]) for answer in answers] == [True] * 4


def test_one_very_long_text(classifier):
    answer = classifier.predict(pa.table({"title": ["逆転勝利の日本代表。" * 350_000]}))
    assert answer["predicted"].null_count == 0


def test_a_copy_has_the_settings_and_a_process_of_its_own(program, model, titles):
    with Classifier(Path(model), program=Path(program), top=2, threads=1) as classifier:
        expected = classifier.predict(titles.slice(0, 20))
        with pickle.loads(pickle.dumps(classifier)) as copy:
            assert copy.settings == classifier.settings
            assert copy.predict(titles.slice(0, 20)).equals(expected)
            assert pid_of(copy) != pid_of(classifier)


def open_files() -> set[str]:
    """What the descriptors of this process are: paths, and numbers of pipes."""
    files = set()
    for descriptor in os.listdir("/proc/self/fd"):
        # The descriptor of the listing itself is closed by now.
        with contextlib.suppress(FileNotFoundError):
            files.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return files


def our_threads() -> list[threading.Thread]:
    """The threads of the package; Spark and Ray start and end others at any time."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("midashi-")]


def test_no_process_and_no_thread_is_left(program, model, titles):
    before = our_threads()
    classifier = Classifier(model, program=program)
    with classifier:
        classifier.predict(titles.slice(0, 1))
        pid = pid_of(classifier)
    assert not is_alive(pid)
    classifier.predict(titles.slice(0, 1))
    pid = pid_of(classifier)
    pipes = {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)}
    assert len(pipes) == 3 and pipes <= open_files()
    assert len(our_threads()) == len(before) + 2
    del classifier
    gc.collect()
    assert not is_alive(pid), "garbage collection ends the process"
    assert our_threads() == before
    assert not pipes & open_files()


def test_a_forked_process_leaves_the_program_to_its_parent(classifier, titles):
    few = titles.slice(0, 20)
    expected = classifier.predict(few)
    pid = pid_of(classifier)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # A child that hangs ends.
        signal.alarm(120)
        try:
            same = classifier._process is None and classifier.predict(few).equals(expected)
            os.write(writing, f"{same} {pid_of(classifier)}\n".encode())
            classifier.close()
            time.sleep(30)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            same, other = pipe.readline().split()
        assert same == "True"
        assert int(other) != pid
        assert classifier.predict(few).equals(expected)
        assert pid_of(classifier) == pid
        # The child lives, but has none of the program's pipes: the end of the stream arrives.
        started = time.monotonic()
        classifier.close()
        assert time.monotonic() - started < END_SECONDS
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_end_of_the_parents_iterator_leaves_the_childs_program(classifier, titles):
    few = titles.slice(0, 20)
    answers = classifier.predict(few.to_batches(max_chunksize=5))
    next(answers)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # A child that hangs ends.
        signal.alarm(120)
        try:
            classifier.predict(few)
            pid = pid_of(classifier)
            answers.close()
            same = classifier.predict(few).num_rows == 20 and pid_of(classifier) == pid
            os.write(writing, f"{same}\n".encode())
            classifier.close()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.readline() == "True\n"
    os.waitpid(child, 0)
    assert [answer.num_rows for answer in answers] == [5, 5, 5]


SCRIPT = """
import sys, time, pyarrow as pa
from midashi import Classifier
classifier = Classifier(sys.argv[1], program=sys.argv[2], threads=1)
table = pa.table({"title": ["逆転勝利の日本代表"] * 100})
classifier.predict(table)
print(classifier._process._popen.pid, flush=True)
if sys.argv[3] == "predict":
    for answer in classifier.predict(batch for _ in iter(int, 1) for batch in table.to_batches()):
        pass
if sys.argv[3] == "sleep":
    time.sleep(60)
"""


def start(model: str, program: str, what: str) -> tuple[subprocess.Popen[str], int]:
    source = str(Path(sys.modules["midashi"].__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source}
    command = [sys.executable, "-c", SCRIPT, model, program, what]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def test_the_end_of_python_ends_the_program(model, program):
    process, pid = start(model, program, "end")
    assert process.wait(30) == 0
    assert process.stderr.read() == ""
    assert ends(pid)


@pytest.mark.parametrize("what", ["predict", "sleep"])
def test_ctrl_c_ends_the_program(model, program, what):
    process, pid = start(model, program, what)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == -signal.SIGINT
    assert process.stderr.read().splitlines()[-1] == "KeyboardInterrupt"
    assert ends(pid)


@pytest.mark.parametrize("what", ["predict", "sleep"])
def test_a_killed_python_ends_the_program(model, program, what):
    process, pid = start(model, program, what)
    process.kill()
    process.wait()
    assert ends(pid)


def test_any_amount_of_notes_is_read_and_the_last_are_kept():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        notes = Notes(pipe)
        with os.fdopen(writing, "wb") as lines:
            lines.write(b"x" * 5_000_000)
            lines.write(b"".join(b"\n  line %d" % number for number in range(200_000)))
            lines.write("\nerror: 列がない\n  name another\n".encode())
        notes.join()
    before, message = notes.error()
    assert message == "列がない\nname another"
    assert before[-1] == "line 199999"
    assert len(before) < 60
    assert all(len(line) <= KEPT_BYTES for line in before)


@pytest.mark.parametrize("seconds", [1e10, float("inf")])
def test_a_timeout_may_be_as_long_as_you_like(monkeypatch, seconds):
    monkeypatch.setattr("midashi.process.LONGEST_WAIT", 0.05)
    (reading, writing), (notes_reading, notes_writing) = os.pipe(), os.pipe()
    with os.fdopen(reading, "rb", 0) as answers, os.fdopen(notes_reading, "rb", 0) as lines:
        notes = Notes(lines)
        output = Output(answers, notes)
        output.limit("timeout", seconds)
        worker = threading.Timer(0.3, os.write, (writing, b"answer"))
        worker.start()
        assert output.read(6) == b"answer", "after several waits"
        worker.join()
        os.close(notes_writing)
        notes.join()
        os.close(writing)


def test_a_line_of_progress_is_a_sign_of_life():
    (reading, writing), (notes_reading, notes_writing) = os.pipe(), os.pipe()
    with os.fdopen(reading, "rb", 0) as answers, os.fdopen(notes_reading, "rb", 0) as lines:
        notes = Notes(lines)
        output = Output(answers, notes)

        def work():
            for _ in range(8):
                time.sleep(0.5)
                os.write(notes_writing, b"  predict: 5000 texts\n")
            os.write(writing, b"answer")

        worker = threading.Thread(target=work)
        worker.start()
        output.limit("timeout", 3.0)
        assert output.read(6) == b"answer", "after four seconds, with a limit of three"
        worker.join()
        started = time.monotonic()
        with pytest.raises(PredictTimeout):
            output.read(1)
        assert time.monotonic() - started < 30
        os.close(notes_writing)
        notes.join()
        os.close(writing)
