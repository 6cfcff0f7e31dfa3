"""The columns that a prediction adds."""

from __future__ import annotations

import json
import os
from typing import Any

import pyarrow as pa

from midashi.errors import MidashiError
from midashi.settings import Settings


def added_columns(settings: Settings) -> pa.Schema:
    """The columns that the program adds, in order. Only ``all`` needs the model here, for the categories' names.

    :raises MidashiError: if they cannot be read.
    """
    fields = [("predicted", pa.string()), ("probability", pa.float32())]
    if settings.top is not None:
        fields.append(("top", pa.list_(pa.struct([("category", pa.string()), ("probability", pa.float32())]))))
    if settings.all:
        fields.append(("probabilities", pa.struct([(label, pa.float32()) for label in _labels(settings.model)])))
    return pa.schema([(settings.prefix + name, kind) for name, kind in fields])


def _labels(model: str) -> Any:
    path = os.path.join(model, "labels.json")
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise MidashiError(
            f"all=True: {path} cannot be read on this machine, which must know the categories before the workers "
            f"start: {error}; put the model under the same path here too, or take top= instead"
        ) from error
