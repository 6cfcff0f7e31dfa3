"""One running midashi-predict, which has the model in memory and answers every batch with a batch."""

from __future__ import annotations

import errno
import os
import platform
import queue
import select
import subprocess
import threading
import time
from collections import deque
from typing import IO, Any, Optional, Union, cast

import pyarrow as pa
import pyarrow.ipc

from midashi.errors import MidashiError, PredictError, PredictTimeout, ProcessDied, ProgramNotStarted
from midashi.settings import Settings

#: Lines of standard error that are kept, the last ones.
KEPT_LINES = 50
#: Lines that are an error's message if none of them begins with "error: ".
LAST_LINES = 5
#: Bytes that are kept of a line.
KEPT_BYTES = 4096
#: Seconds for which an answer is awaited at a time. The system takes no more than 24 days.
LONGEST_WAIT = 3600.0
#: Seconds that a process which has closed its output gets to end.
END_SECONDS = 10.0


class Process:
    """Sends batches of one schema to the program and receives its answers.

    A thread writes to the program and another reads its standard error, so no pipe blocks another. Batches that are sent
    wait in memory: the caller bounds their number.
    """

    def __init__(self, settings: Settings, schema: pa.Schema) -> None:
        self.schema = schema
        self._settings = settings
        self._popen = _start(settings.command(), settings.environment())
        self._notes = Notes(self._pipe("stderr"))
        self._feeder = Feeder(self._pipe("stdin"), schema)
        self._output = Output(self._pipe("stdout"), self._notes)
        self._answers: Any = None

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def send(self, batch: pa.RecordBatch) -> None:
        """Gives a batch to the writing thread."""
        self._feeder.batches.put(batch)

    def receive(self) -> pa.RecordBatch:
        """Waits for the next answer.

        :raises PredictError: if the program ended with an error.
        :raises ProcessDied: if a signal ended it.
        :raises PredictTimeout: if it was silent for too long.
        """
        try:
            if self._answers is None:
                self._output.limit("start_timeout", self._settings.start_timeout)
                self._answers = pa.ipc.open_stream(pa.PythonFile(self._output, "r"))
            self._output.limit("timeout", self._settings.timeout)
            return self._answers.read_next_batch()
        except (StopIteration, pa.ArrowException, OSError) as error:
            if isinstance(error, PredictTimeout):
                raise
            raise self._failure(error) from None

    def close(self) -> None:
        """Ends the stream, and lets the program end by itself."""
        self._feeder.batches.put(None)
        try:
            self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """Ends the program at once. May be called again."""
        self._popen.kill()
        self._popen.wait()
        self._feeder.batches.put(None)
        self._feeder.join()
        self._notes.join()
        self._close_pipes()

    def forget(self) -> None:
        """In a forked process: the program is the parent's, and would outlive it with our copies of its pipes."""
        self._popen.returncode = 0
        self._close_pipes()

    def _close_pipes(self) -> None:
        for name in ("stdin", "stdout", "stderr"):
            self._pipe(name).close()

    def _pipe(self, name: str) -> IO[bytes]:
        return cast("IO[bytes]", getattr(self._popen, name))

    def _failure(self, cause: BaseException) -> MidashiError:
        """The reason why there is no answer, which the ended program has told."""
        try:
            code = self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return PredictError(f"midashi-predict sent something else than Arrow IPC: {cause}", 0, self._notes.lines())
        self._notes.join()
        if code < 0:
            return ProcessDied(-code, self._notes.lines())
        if self._feeder.error is not None:
            return MidashiError(f"a batch cannot be sent: {self._feeder.error}")
        notes, message = self._notes.error()
        if message is None:
            # Such as the loader's: a version of the C library that the program needs is missing.
            notes, last = notes[:-LAST_LINES], notes[-LAST_LINES:]
            ended = f"midashi-predict ended with exit code {code} before it had answered every batch"
            message = "\n".join([ended, *last])
        return PredictError(message, code, notes)


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts the program.

    :raises ProgramNotStarted: if the system cannot.
    """
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, bufsize=0)
    except OSError as error:
        reasons = {
            errno.ENOEXEC: f"; this machine is {platform.machine()}, and the program may be for another processor",
            # The program itself was found before.
            errno.ENOENT: "; the loader that it names is missing, as on a system with another C library",
            errno.EACCES: "; its file system may be mounted with noexec",
        }
        reason = reasons.get(error.errno or 0, "")
        raise ProgramNotStarted(f"{command[0]} cannot be started: {error.strerror or error}{reason}") from error


class Feeder:
    """The thread that writes batches to the program's standard input."""

    def __init__(self, pipe: IO[bytes], schema: pa.Schema) -> None:
        #: None ends the stream.
        self.batches: queue.SimpleQueue[Optional[pa.RecordBatch]] = queue.SimpleQueue()
        #: Why a batch could not be sent, unless the program has ended.
        self.error: Optional[Exception] = None
        self._pipe = pipe
        self._schema = schema
        self._thread = threading.Thread(target=self._run, name="midashi-feeder", daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            with pa.ipc.new_stream(pa.PythonFile(Input(self._pipe), "w"), self._schema) as stream:
                for batch in iter(self.batches.get, None):
                    stream.write_batch(batch)
        except pa.ArrowException as error:
            self.error = error
        except (OSError, ValueError):
            # The program has ended. receive() tells why.
            pass
        finally:
            self._pipe.close()


class Input:
    """A pipe that takes every write whole. It has no buffer, which a forked process would write again."""

    closed = False

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._position = 0

    def write(self, data: Union[bytes, memoryview]) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest) > 0:
            rest = rest[self._pipe.write(rest) :]
        self._position += size
        return size

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Output:
    """The program's standard output, of which a read has a limit of time."""

    closed = False

    def __init__(self, pipe: IO[bytes], notes: Notes) -> None:
        self._pipe = pipe
        self._notes = notes
        self._position = 0
        self._poll = select.poll()
        self._poll.register(pipe, select.POLLIN)
        self.limit("timeout", None)

    def limit(self, setting: str, seconds: Optional[float]) -> None:
        """Sets the seconds without a sign of life, and counts from now."""
        self._setting, self._seconds = setting, seconds
        self._last_sign = time.monotonic()

    def read(self, size: int = -1) -> Union[bytes, bytearray]:
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size:
            self._wait()
            count = cast(Any, self._pipe).readinto(view[filled:])
            if not count:
                break
            filled += count
            self._last_sign = time.monotonic()
        self._position += filled
        return data if filled == size else bytes(view[:filled])

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self.closed = True

    def _wait(self) -> None:
        """Waits for a byte. A line on standard error is a sign of life: the program writes some during a long batch."""
        if self._seconds is None:
            self._poll.poll()
            return
        while True:
            left = max(self._last_sign, self._notes.last_sign) + self._seconds - time.monotonic()
            if left <= 0:
                raise PredictTimeout(self._setting, self._seconds, self._notes.lines())
            if self._poll.poll(min(left, LONGEST_WAIT) * 1000 + 1):
                return


class Notes:
    """The thread that reads the program's standard error, and the last lines of it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.last_sign = time.monotonic()
        self._lines: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._pipe = pipe
        self._thread = threading.Thread(target=self._run, name="midashi-notes", daemon=True)
        self._thread.start()

    def join(self) -> None:
        # A process that the program has started could still have the pipe.
        self._thread.join(END_SECONDS)

    def lines(self) -> tuple[str, ...]:
        """The last lines."""
        texts = (line.decode("utf-8", "replace").strip() for line in list(self._lines))
        return tuple(text for text in texts if text)

    def error(self) -> tuple[tuple[str, ...], Optional[str]]:
        """The lines before the error, and the error with the lines after it, if there is one."""
        lines = self.lines()
        for at in reversed(range(len(lines))):
            if lines[at].startswith("error: "):
                return lines[:at], "\n".join(lines[at:])[len("error: ") :]
        return lines, None

    def _run(self) -> None:
        rest = b""
        try:
            while True:
                data = self._pipe.read(65536)
                if not data:
                    break
                self.last_sign = time.monotonic()
                *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
                self._lines.extend(line[:KEPT_BYTES] for line in lines)
                rest = rest[:KEPT_BYTES]
        except (OSError, ValueError):
            pass
        self._lines.append(rest)
