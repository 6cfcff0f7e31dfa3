"""Polars: a DataFrame in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midashi.classifier import Classifier, Path

if TYPE_CHECKING:
    from polars import DataFrame


def for_polars(frame: DataFrame, model: Path, **settings: Any) -> DataFrame:
    """The frame, its columns as they are, with the columns of the predictions.

    :param settings: as those of :class:`midashi.Classifier`.
    """
    import polars

    with Classifier(model, **settings) as classifier:
        predicted = classifier.predict(frame.to_arrow())
    added = polars.DataFrame(predicted.select(range(frame.width, predicted.num_columns)))
    return frame.hstack(added)
