"""The settings of a classifier, which can be sent to another machine, and the command line that they give."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import Any, Optional

from midashi.program import CACHE, find_onnxruntime, find_program


@dataclass(frozen=True)
class Settings:
    """What a classifier is made from. Paths are opened where the classifier works, which may be another machine."""

    #: Folder of the model, such as ``artifacts/article/model``.
    model: str
    #: Column of the text, or of the title; recognised by usual names by default.
    text_column: Optional[str] = None
    #: Column of the body, for a model that reads bodies.
    body_column: Optional[str] = None
    #: Adds a column ``top`` with as many of the most probable categories.
    top: Optional[int] = None
    #: Adds a column ``probabilities`` with the probability of every category.
    all: bool = False
    #: Leaves the category of a text null if its probability is below this number.
    threshold: Optional[float] = None
    #: Begins the names of the added columns.
    prefix: str = ""
    #: Numbers in which matrices are multiplied: ``f32`` or ``int8``.
    precision: str = "f32"
    #: Threads of the program; one per core by default.
    threads: Optional[int] = None
    #: Path of midashi-predict.
    program: Optional[str] = None
    #: Path of ONNX Runtime's shared library.
    onnxruntime: Optional[str] = None
    #: Seconds without a sign of life after which the program is ended; None waits for ever.
    timeout: Optional[float] = 600.0
    #: The same for the time until the model is loaded.
    start_timeout: Optional[float] = 300.0

    def command(self) -> list[str]:
        """The command line.

        :raises ProgramNotFound: if there is no midashi-predict.
        """
        command = [find_program(self.program), "--model", self.model]
        command += ["--input", "-", "--input-format", "arrow", "--format", "arrow"]
        options: dict[str, Any] = {
            "--text-column": self.text_column,
            "--body-column": self.body_column,
            "--top": self.top,
            "--threshold": self.threshold,
            "--prefix": self.prefix or None,
            "--precision": self.precision,
        }
        # One word each, because a value may begin with a hyphen.
        command += [f"{option}={value}" for option, value in options.items() if value is not None]
        return command + ["--all"] if self.all else command

    def environment(self) -> dict[str, str]:
        """The environment variables: ours, where ONNX Runtime and the configuration are, and the number of threads.

        :raises ProgramNotFound: if a named ONNX Runtime is missing.
        """
        environment = dict(os.environ)
        library = find_onnxruntime(self.onnxruntime)
        if library is not None:
            environment["ORT_DYLIB_PATH"] = library
        # Otherwise the program would read a pipeline.toml of the current folder, which may be another project's.
        environment.setdefault("MIDASHI_CONFIG", os.devnull)
        overrides = [environment.get("MIDASHI_SET", "")]
        if CACHE.is_dir():
            # The program's variable wins over ours: it comes later.
            overrides.insert(0, shlex.quote(f"run.cache={CACHE}"))
        if self.threads is not None:
            overrides.append(f"run.threads={self.threads}")
        environment["MIDASHI_SET"] = " ".join(filter(None, overrides))
        return environment
