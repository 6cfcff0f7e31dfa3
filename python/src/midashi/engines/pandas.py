"""pandas: a DataFrame in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import pyarrow as pa

from midashi.classifier import Classifier, Path

if TYPE_CHECKING:
    from pandas import DataFrame


def for_pandas(frame: DataFrame, model: Path, **settings: Any) -> DataFrame:
    """The frame, its columns and index as they are, with the columns of the predictions.

    :param settings: as those of :class:`midashi.Classifier`. If ``text_column`` or ``body_column`` is given, the other
        columns may have values for which Arrow has no type.
    """
    import pandas

    with Classifier(model, **settings) as classifier:
        table = _table(frame, {classifier.settings.text_column, classifier.settings.body_column} - {None})
        predicted = classifier.predict(table)
    added = predicted.select(range(table.num_columns, predicted.num_columns)).to_pandas(ignore_metadata=True)
    return pandas.concat([frame, added.set_index(frame.index)], axis=1)


def _table(frame: DataFrame, read: set[Optional[str]]) -> pa.Table:
    """The frame's columns. If those to ``read`` are named, the others are null: the program needs only their names."""
    if not read:
        return pa.Table.from_pandas(frame, preserve_index=False)
    names = [str(name) for name in frame.columns]
    columns = [
        pa.Array.from_pandas(frame.iloc[:, at]) if name in read else pa.nulls(len(frame))
        for at, name in enumerate(names)
    ]
    return pa.table(columns, names=names)
