"""DuckDB: a relation in, an Arrow table out, which DuckDB can query by its variable's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from midashi.classifier import Classifier, Path

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation


def for_duckdb(relation: DuckDBPyRelation, model: Path, **settings: Any) -> pa.Table:
    """The relation's rows with the columns of the predictions.

    :param settings: as those of :class:`midashi.Classifier`.
    """
    with Classifier(model, **settings) as classifier:
        return classifier.predict(relation.to_arrow_table())
