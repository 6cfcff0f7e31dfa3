"""pandas: a DataFrame in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from midashi.classifier import Classifier, Path

if TYPE_CHECKING:
    from pandas import DataFrame


def for_pandas(frame: DataFrame, model: Path, **settings: Any) -> DataFrame:
    """The frame, its columns and index as they are, with the columns of the predictions.

    :param settings: as those of :class:`midashi.Classifier`.
    """
    import pandas

    table = pa.Table.from_pandas(frame, preserve_index=False)
    with Classifier(model, **settings) as classifier:
        predicted = classifier.predict(table)
    added = predicted.select(range(table.num_columns, predicted.num_columns)).to_pandas(ignore_metadata=True)
    return pandas.concat([frame, added.set_index(frame.index)], axis=1)
