"""Errors. All can be pickled, because engines send them from a worker to the user."""

from __future__ import annotations

import signal
from typing import Any


#: What a signal may mean.
REASONS = {
    "SIGKILL": "the system may have ended it because memory ran out",
    "SIGBUS": "a file of the model may have been truncated or replaced while it was in use, as on a network file "
    "system: the weights are mapped into memory, so put another model into another folder",
}


class MidashiError(Exception):
    """Every error of this package."""


class PredictError(MidashiError):
    """The program ended with an error.

    ``message`` is the program's own, ``exit_code`` is 2 for an error that it foresaw, and ``notes`` are the other lines
    that it wrote to standard error.
    """

    def __init__(self, message: str, exit_code: int, notes: tuple[str, ...] = ()) -> None:
        super().__init__(message, exit_code, notes)
        self.message = message
        self.exit_code = exit_code
        self.notes = notes

    def __str__(self) -> str:
        return self.message


class ProcessDied(MidashiError):
    """A signal ended the program. ``signal`` is its number, such as 9."""

    def __init__(self, number: int, notes: tuple[str, ...] = ()) -> None:
        super().__init__(number, notes)
        self.signal = number
        self.notes = notes

    def __str__(self) -> str:
        try:
            name = signal.Signals(self.signal).name
        except ValueError:
            name = f"signal {self.signal}"
        reason = f"; {REASONS[name]}" if name in REASONS else ""
        return "\n".join([f"midashi-predict was ended by {name}{reason}", *self.notes])


class PredictTimeout(MidashiError, TimeoutError):
    """The program was silent for too long and was ended."""

    def __init__(self, setting: str, seconds: float, notes: tuple[str, ...] = ()) -> None:
        super().__init__(setting, seconds, notes)
        self.setting = setting
        self.seconds = seconds
        self.notes = notes

    def __str__(self) -> str:
        line = f"midashi-predict gave no sign of life for {self.seconds:g} seconds and was ended"
        return "\n".join([f"{line}; give a longer {self.setting}", *self.notes])


class ProgramNotStarted(MidashiError):
    """The system cannot run the program, which is for another processor or another C library, for example."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class ProgramNotFound(MidashiError, FileNotFoundError):
    """The program or ONNX Runtime is not where it was looked for."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (ProgramNotFound, (self.message,))
