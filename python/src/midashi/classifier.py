"""The classifier: tables in, tables with predictions out."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from types import TracebackType
from typing import Any, Optional, Union, overload

import pyarrow as pa

from midashi.errors import MidashiError
from midashi.process import Process
from midashi.settings import Settings

Path = Union[str, "os.PathLike[str]"]

#: Batches that are given to the program before an answer is awaited: it computes one while the next is being written.
UNDER_WAY = 2


class Classifier:
    """Classifies texts with a fine-tuned model.

    It owns a process of midashi-predict, which starts at the first prediction and has the model in memory. An Arrow
    stream has one schema, so a table with other columns than the one before starts a new process. A classifier is used
    by one thread at a time. It can be pickled: its copy has the settings and starts a process of its own.

    >>> with Classifier("artifacts/article/model") as classifier:
    ...     predicted = classifier.predict(table)

    :param model: folder of the model.
    :param text_column: column of the text, or of the title; recognised by usual names by default.
    :param body_column: column of the body, for a model that reads bodies.
    :param top: adds a column ``top`` with as many of the most probable categories.
    :param all: adds a column ``probabilities`` with the probability of every category.
    :param threshold: leaves the category of a text null if its probability is below this number.
    :param prefix: begins the names of the added columns.
    :param precision: numbers in which matrices are multiplied, ``f32`` or ``int8``.
    :param threads: threads of the program; one per core by default.
    :param program: path of midashi-predict; by default the environment variable ``MIDASHI_PREDICT``, the one in the
        package, or the one in ``PATH``.
    :param onnxruntime: path of ONNX Runtime's shared library; by default the environment variable ``ORT_DYLIB_PATH``,
        the one in the package, or the one that the program finds.
    :param timeout: seconds without an answer or a line of progress after which the program is ended. It writes a line
        of progress every ten seconds while it computes. None waits for ever.
    :param start_timeout: the same for the time until the model is loaded.
    """

    def __init__(
        self,
        model: Path,
        *,
        text_column: Optional[str] = None,
        body_column: Optional[str] = None,
        top: Optional[int] = None,
        all: bool = False,
        threshold: Optional[float] = None,
        prefix: str = "",
        precision: str = "f32",
        threads: Optional[int] = None,
        program: Optional[Path] = None,
        onnxruntime: Optional[Path] = None,
        timeout: Optional[float] = 600.0,
        start_timeout: Optional[float] = 300.0,
    ) -> None:
        self.settings = Settings(
            model=os.fspath(model),
            text_column=text_column,
            body_column=body_column,
            top=top,
            all=all,
            threshold=threshold,
            prefix=prefix,
            precision=precision,
            threads=threads,
            program=None if program is None else os.fspath(program),
            onnxruntime=None if onnxruntime is None else os.fspath(onnxruntime),
            timeout=timeout,
            start_timeout=start_timeout,
        )
        self._exchange = threading.Lock()
        self._process: Optional[Process] = None
        self._finalizer: Optional[weakref.finalize[..., Any]] = None
        _CLASSIFIERS.add(self)

    @classmethod
    def of(cls, settings: Settings) -> Classifier:
        """A classifier with the settings of another."""
        return cls(**asdict(settings))

    @property
    def is_busy(self) -> bool:
        """Whether an iterator that it has given is not finished."""
        return self._exchange.locked()

    @overload
    def predict(self, rows: pa.Table) -> pa.Table: ...
    @overload
    def predict(self, rows: pa.RecordBatch) -> pa.RecordBatch: ...  # type: ignore[overload-cannot-match, unused-ignore]
    @overload
    def predict(  # type: ignore[overload-cannot-match, unused-ignore]
        self, rows: Iterable[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]: ...
    def predict(self, rows: Any) -> Any:
        """Adds the columns of the predictions to ``rows``, which keep their order.

        A table gives a table and a record batch a record batch. An iterable of record batches, such as a
        ``RecordBatchReader``, gives an iterator that answers each batch with a batch. It reads one batch ahead, so memory
        does not grow with the number of batches.

        :raises PredictError: if the program ends with an error, such as a column that does not exist.
        :raises ProcessDied: if a signal ends it.
        :raises PredictTimeout: if it gives no sign of life for too long.
        :raises ProgramNotFound: if there is no program.
        :raises ProgramNotStarted: if the system cannot run it.
        """
        if isinstance(rows, pa.RecordBatch):
            [answer] = self._answers([rows])
            return answer
        if isinstance(rows, pa.Table):
            batches = rows.to_batches() or [pa.RecordBatch.from_pylist([], rows.schema)]
            return pa.Table.from_batches(list(self._answers(batches)))
        return self._answers(rows)

    def _answers(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        exchange = self._exchange
        if not exchange.acquire(blocking=False):
            raise MidashiError(
                "this classifier is answering another call; "
                "finish or close that iterator, or give each thread a classifier"
            )
        process: Optional[Process] = None
        under_way: deque[pa.RecordBatch] = deque()
        try:
            for batch in batches:
                # The metadata, such as pandas' index, may differ from batch to batch and is not sent.
                schema = batch.schema.remove_metadata()
                if process is None:
                    process = self._process_for(schema)
                elif not _equal(process.schema, schema):
                    raise ValueError(_difference(schema, process.schema))
                process.send(batch.replace_schema_metadata(None))
                under_way.append(batch)
                if len(under_way) == UNDER_WAY:
                    yield self._answer(process, under_way)
            while process is not None and under_way:
                yield self._answer(process, under_way)
        finally:
            # A process with answers that nobody has read, or that has failed, is of no use to the next call. In a forked
            # process, the classifier may have started another since.
            if under_way and process is self._process:
                self._kill()
            exchange.release()

    def _answer(self, process: Process, under_way: deque[pa.RecordBatch]) -> pa.RecordBatch:
        """The program's answer to the first batch under way, with the metadata of its schema."""
        if process is not self._process:
            raise MidashiError("the classifier was closed before this iterator was finished")
        answer = process.receive()
        rows = under_way[0].num_rows
        if answer.num_rows != rows:
            raise MidashiError(
                f"midashi-predict answered {rows} rows with {answer.num_rows}; "
                "expected a batch for each batch: the program is another version than this package"
            )
        return answer.replace_schema_metadata(under_way.popleft().schema.metadata)

    def _process_for(self, schema: pa.Schema) -> Process:
        """The process that reads this schema; one that reads another is ended."""
        process = self._process
        if process is not None and process.has_ended:
            self._kill()
        elif process is not None and not _equal(process.schema, schema):
            self._end()
        if self._process is None:
            self._process = Process(self.settings, schema)
            self._finalizer = weakref.finalize(self, self._process.kill)
        return self._process

    def close(self) -> None:
        """Ends the process. The next prediction starts another."""
        if self.is_busy:
            self._kill()
        else:
            self._end()

    def _end(self) -> None:
        process = self._take_process()
        if process is not None:
            process.close()

    def _kill(self) -> None:
        process = self._take_process()
        if process is not None:
            process.kill()

    def _take_process(self) -> Optional[Process]:
        """The process, which is this classifier's no more."""
        process, self._process = self._process, None
        finalizer, self._finalizer = self._finalizer, None
        if finalizer is not None:
            finalizer.detach()
        return process

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._kill()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Classifier.of, (self.settings,))

    def _after_fork(self) -> None:
        """In a forked process: the program belongs to the parent."""
        self._exchange = threading.Lock()
        process = self._take_process()
        if process is not None:
            process.forget()


def _equal(one: pa.Schema, other: pa.Schema) -> bool:
    # With the fields' metadata, which tells the types of extensions.
    return bool(one.equals(other, check_metadata=True))


def _difference(found: pa.Schema, expected: pa.Schema) -> str:
    """The message about a batch with other columns than the first."""
    lists = _list(found), _list(expected)
    if lists[0] == lists[1]:
        # They differ in the metadata of a field only, which may be inside a type.
        options = {"truncate_metadata": False, "show_schema_metadata": False}
        lists = f"\n{found.to_string(**options)}\n", f"\n{expected.to_string(**options)}"
    return f"a batch has the columns {lists[0]}; expected those of the first: {lists[1]}"


def _list(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}{'' if field.nullable else ' not null'}" for field in schema)


_CLASSIFIERS: weakref.WeakSet[Classifier] = weakref.WeakSet()


def _after_fork() -> None:
    for classifier in list(_CLASSIFIERS):
        classifier._after_fork()


os.register_at_fork(after_in_child=_after_fork)
