"""Compares a running midashi-serve with a finished run: every title of the test split, asked over HTTP.

    midashi-serve --model artifacts/RUN/model --auto-truncate
    python serve_parity.py artifacts/RUN [http://127.0.0.1:8080]

Asks in batches of 32 and one by one, with probabilities and with raw scores, and confirms that
  - the probabilities are those of predictions.parquet, and the first category its prediction;
  - the raw scores are the logits of model/classifier.onnx in plain onnxruntime for the ids of tokens.arrow.
Numbers may differ by 1e-4. Prints what was compared; the first difference is one line and exit code 1.

Needs Python 3.11 with: numpy 2.4, onnxruntime 1.31, pyarrow 26.0.
"""

import json
import pathlib
import sys
import urllib.request

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq

TOLERANCE = 1e-4
BATCH_SIZE = 32


def check(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(message)


def ask(url: str, inputs, raw_scores: bool):
    body = json.dumps({"inputs": inputs, "raw_scores": raw_scores}).encode()
    request = urllib.request.Request(url + "/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def scores(answer: list[dict], categories: list[str]) -> np.ndarray:
    by_label = {item["label"]: item["score"] for item in answer}
    return np.array([by_label[category] for category in categories])


def main() -> None:
    check(len(sys.argv) in (2, 3), __doc__.split("\n\n")[1])
    run, url = pathlib.Path(sys.argv[1]), (sys.argv[2:] or ["http://127.0.0.1:8080"])[0]
    table = pq.read_table(run / "predictions.parquet")
    categories = json.loads(table.schema.metadata[b"midashi.categories"])
    predictions = {row["id"]: row for row in table.to_pylist()}
    with pa.memory_map(str(run / "tokens.arrow")) as source:
        tokens = pa.ipc.open_file(source).read_all().select(["id", "input_ids", "token_type_ids"]).to_pylist()
    tokens = {row["id"]: row for row in tokens}
    titles = {row["id"]: row["title"] for row in pq.read_table(run / "corpus.parquet").to_pylist()}
    session = onnxruntime.InferenceSession(str(run / "model/classifier.onnx"), providers=["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}

    ids, largest = list(predictions), {"probabilities": 0.0, "logits": 0.0, "alone": 0.0}
    for start in range(0, len(ids), BATCH_SIZE):
        batch = ids[start : start + BATCH_SIZE]
        answers = {raw: ask(url, [[titles[name]] for name in batch], raw) for raw in (False, True)}
        for at, name in enumerate(batch):
            expected, found = predictions[name], answers[False][at]
            difference = np.abs(scores(found, categories) - expected["probabilities"]).max()
            check(difference <= TOLERANCE, f"{name}: a probability differs by {difference:.1e}")
            check(found[0]["label"] == expected["predicted"], f"{name}: predicted is {found[0]['label']}")
            largest["probabilities"] = max(largest["probabilities"], difference)

            row = tokens[name]
            feeds = {column: np.array([row[column]], np.int64) for column in ("input_ids", "token_type_ids")}
            feeds["attention_mask"] = np.ones_like(feeds["input_ids"])
            (logits,) = session.run(["logits"], {key: value for key, value in feeds.items() if key in names})
            raw = scores(answers[True][at], categories)
            difference = np.abs(raw - logits[0]).max()
            check(difference <= TOLERANCE, f"{name}: a logit differs by {difference:.1e}")
            largest["logits"] = max(largest["logits"], difference)

            alone = scores(ask(url, titles[name], True), categories)
            difference = np.abs(alone - raw).max()
            check(difference <= TOLERANCE, f"{name}: alone, a logit differs by {difference:.1e}")
            largest["alone"] = max(largest["alone"], difference)
    print(f"{len(ids)} test titles: categories as in predictions.parquet, probabilities within "
          f"{largest['probabilities']:.1e}; logits as in onnxruntime within {largest['logits']:.1e}; "
          f"alone as in a batch within {largest['alone']:.1e}")


if __name__ == "__main__":
    main()
