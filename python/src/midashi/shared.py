"""One classifier for a worker process that an engine gives many tasks, so that the model is loaded once."""

from __future__ import annotations

import os
from typing import Optional

from midashi.classifier import Classifier
from midashi.settings import Settings

#: The digests of a model's files, and name, time of modification and size of each file.
Stamp = tuple[bytes, tuple[tuple[str, int, int], ...]]

_latest: Optional[tuple[Settings, Stamp, Classifier]] = None


def shared(settings: Settings) -> Classifier:
    """This process's classifier with these settings.

    One with other settings, or of a folder that has another model now, is closed first: at most one model is in memory.
    """
    global _latest
    stamp = _stamp(settings.model)
    if _latest is not None:
        known_settings, known_stamp, classifier = _latest
        # A task that was given up may have left an iterator behind.
        if known_settings == settings and known_stamp == stamp and not classifier.is_busy:
            return classifier
        classifier.close()
    classifier = Classifier.of(settings)
    _latest = settings, stamp, classifier
    return classifier


def _stamp(model: str) -> Stamp:
    """What tells a model from another in the same folder, also from one that was copied there with its times.

    Without a folder it is empty; the program has a message.
    """
    try:
        with os.scandir(model) as entries:
            files = [(entry.name, entry.stat()) for entry in entries]
    except OSError:
        return b"", ()
    return _digests(model), tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in files))


def _digests(model: str) -> bytes:
    """The content of ``SHA256SUMS``; empty if there is none, because the program takes such a model too."""
    try:
        with open(os.path.join(model, "SHA256SUMS"), "rb") as file:
            return file.read()
    except OSError:
        return b""
