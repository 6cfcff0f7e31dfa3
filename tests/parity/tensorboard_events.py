"""Compares a run's TensorBoard event files with its training.parquet. Writes nothing.

    python tensorboard_events.py ../../artifacts/e5

Reads the files as TensorBoard does (EventAccumulator), every scalar of every step, also of a training
that was interrupted and went on. Exit code 1 if a number is missing, too many or another.
"""

import sys
from pathlib import Path

import numpy
import pandas
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = Path(sys.argv[1])
events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
events.Reload()
rows = pandas.read_parquet(run / "training.parquet")
rows["split"] = rows["split"].astype(str)
steps, validation = rows[rows["split"] == "train"], rows[rows["split"] == "validation"]

epochs = steps.groupby("epoch").agg(step=("step", "max"), correct=("correct", "sum"), texts=("texts", "sum"))
expected = {
    "loss/train": (steps["step"], steps["loss"]),
    "gradient_norm": (steps["step"], steps["gradient_norm"]),
    "learning_rate/encoder": (steps["step"], steps["learning_rate_encoder"]),
    "learning_rate/classifier": (steps["step"], steps["learning_rate_classifier"]),
    "accuracy/train": (epochs["step"], epochs["correct"] / epochs["texts"]),
    "loss/validation": (validation["step"], validation["loss"]),
    "accuracy/validation": (validation["step"], validation["correct"] / validation["texts"]),
}
wrong = 0
for tag, (at, values) in expected.items():
    found = events.Scalars(tag) if tag in events.Tags()["scalars"] else []
    same = [scalar.step for scalar in found] == list(at)
    # Event files hold float32.
    same = same and all(scalar.value == numpy.float32(value) for scalar, value in zip(found, values))
    print(f"{tag}: {len(found)} of {len(at)} steps {'agree' if same else 'DIFFER'}")
    wrong += not same
sys.exit(1 if wrong else 0)
