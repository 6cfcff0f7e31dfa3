"""The columns that a prediction adds."""

from __future__ import annotations

import json
import os

import pyarrow as pa

from midashi.settings import Settings


def added_columns(settings: Settings) -> pa.Schema:
    """The columns that the program adds, in order. Only ``all`` needs the model here, for the categories' names."""
    fields = [("predicted", pa.string()), ("probability", pa.float32())]
    if settings.top is not None:
        fields.append(("top", pa.list_(pa.struct([("category", pa.string()), ("probability", pa.float32())]))))
    if settings.all:
        with open(os.path.join(settings.model, "labels.json"), encoding="utf-8") as file:
            labels = json.load(file)
        fields.append(("probabilities", pa.struct([(label, pa.float32()) for label in labels])))
    return pa.schema([(settings.prefix + name, kind) for name, kind in fields])
