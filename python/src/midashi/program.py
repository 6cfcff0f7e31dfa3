"""Where midashi-predict and ONNX Runtime are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Optional

from midashi.errors import ProgramNotFound

NAME = "midashi-predict"
#: The wheel has the program and ONNX Runtime here.
BIN = Path(__file__).parent / "bin"
#: The wheel has MeCab's dictionary here.
CACHE = Path(__file__).parent / "cache"


def find_program(named: Optional[str] = None) -> str:
    """The path of midashi-predict.

    :param named: the path that the user gave; nothing else is looked for then.
    :raises ProgramNotFound: if there is none; the message has the places.
    """
    for path, origin in [(named, "program="), (os.environ.get("MIDASHI_PREDICT"), "MIDASHI_PREDICT")]:
        if path:
            if os.path.isfile(path) and os.access(path, os.X_OK):
                # With a path, a name without a folder is not looked for in PATH.
                return os.path.abspath(path)
            raise ProgramNotFound(f"{origin} names {path}, expected an executable file (in {os.getcwd()})")
    beside = BIN / NAME
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(NAME)
    if found is None:
        raise ProgramNotFound(
            f"found no {NAME}: program= and MIDASHI_PREDICT are not set, there is no {beside}, and PATH has none; "
            "install the wheel that `make wheel` builds, or name the program"
        )
    return found


def find_onnxruntime(named: Optional[str] = None) -> Optional[str]:
    """The path of ONNX Runtime's shared library, or None to let the program look for it.

    :param named: the path that the user gave; nothing else is looked for then.
    :raises ProgramNotFound: if the user named a file that does not exist.
    """
    for path, origin in [(named, "onnxruntime="), (os.environ.get("ORT_DYLIB_PATH"), "ORT_DYLIB_PATH")]:
        if path:
            if os.path.isfile(path):
                return os.path.abspath(path)
            raise ProgramNotFound(f"{origin} names {path}, expected ONNX Runtime's shared library")
    # Not its licence, and not the libraries of its devices, such as libonnxruntime_providers_cuda.so.
    beside = sorted(BIN.glob("*onnxruntime.*"))
    return str(beside[-1]) if beside else None
