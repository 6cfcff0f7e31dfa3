"""Checks a finished training against PyTorch on the same batches: loss of each step, test accuracy at the end.

usage: training_parity.py RUN HEAD CHECKPOINT [--steps 50] [--whole]

RUN is the folder of a run with the article's recipe (Adam with constant learning rates, no dropout, mask on) and any
`train.trainable_layers`; HEAD is the folder of the same run with both learning rates 0, whose `model/` therefore holds
what training starts from. CHECKPOINT is the run's `model.checkpoint`, in a form that transformers reads.

    make all SET='run.name=one …'
    make all SET='run.name=head … train.epochs=1 train.learning_rate.encoder=0 train.learning_rate.classifier=0'
    python training_parity.py artifacts/one artifacts/head CHECKPOINT

Prints the largest difference of a step's loss over the first `--steps` steps; with `--whole` goes on to the end and
compares the test accuracy and macro F1. Exit code 1 if a loss differs by more than 1e-3.
"""

import argparse
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score
from transformers import BertModel

TOLERANCE = 1e-3


def padded(texts, pad):
    longest = max(map(len, texts))
    ids = torch.full((len(texts), longest), pad)
    mask = torch.zeros(len(texts), longest, dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return ids, mask


def head_of(tensors, kind):
    """The head of a written model, as it was trained."""
    labels, hidden = tensors["classifier.weight"].shape
    classifier, pooler = torch.nn.Linear(hidden, labels), torch.nn.Linear(hidden, hidden)
    classifier.load_state_dict({part: tensors[f"classifier.{part}"] for part in ("weight", "bias")})
    pooler.load_state_dict({part: tensors[f"bert.pooler.dense.{part}"] for part in ("weight", "bias")})
    if kind == "pooler":
        return torch.nn.Sequential(pooler, torch.nn.Tanh(), classifier)
    # A linear head is written behind a small multiple of the identity.
    classifier.weight.data *= pooler.weight[0, 0].item()
    return classifier


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()

    tokens = pa.ipc.open_file(arguments.run / "tokens.arrow").read_all().to_pydict()
    training = pq.read_table(arguments.run / "training.parquet").to_pylist()
    steps = [row for row in training if row["split"] == "train"]
    train = json.load(open(arguments.run / "run.json"))["stages"]["train"]["settings"]["train"]
    layers = train["trainable_layers"]

    bert = BertModel.from_pretrained(
        arguments.checkpoint, attn_implementation="eager", dtype=torch.float32, add_pooling_layer=False
    ).eval()
    start = load_file(arguments.head / "model/model.safetensors")
    head = head_of(start, train["head"])
    for parameter in bert.parameters():
        parameter.requires_grad = layers == "all"
    for layer in [] if layers == "all" else bert.encoder.layer[len(bert.encoder.layer) - layers :]:
        for parameter in layer.parameters():
            parameter.requires_grad = True
    learned = [parameter for parameter in bert.parameters() if parameter.requires_grad]
    rates = train["learning_rate"]
    optimiser = torch.optim.Adam(
        [
            {"params": learned, "lr": rates["encoder"]},
            {"params": head.parameters(), "lr": rates["classifier"]},
        ]
    )

    def logits(rows):
        ids, mask = padded([tokens["input_ids"][row] for row in rows], bert.config.pad_token_id)
        return head(bert(ids, attention_mask=mask).last_hidden_state[:, 0])

    # Labels are dictionary-encoded names; their numbers are the names' places in the model's list.
    names = json.load(open(arguments.run / "model/labels.json"))
    labels = torch.tensor([names.index(label) for label in tokens["label"]])

    worst = 0.0
    for number, step in enumerate(steps if arguments.whole else steps[: arguments.steps], start=1):
        loss = torch.nn.functional.cross_entropy(logits(step["batch"]), labels[step["batch"]])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if number <= arguments.steps:
            worst = max(worst, abs(loss.item() - step["loss"]))
    print(f"largest difference of a loss in {min(arguments.steps, len(steps))} steps: {worst:.2e}")

    if arguments.whole:
        test = [row for row, split in enumerate(tokens["split"]) if split == "test"]
        with torch.no_grad():
            predicted = torch.cat([logits(test[at : at + 32]).argmax(1) for at in range(0, len(test), 32)])
        found = json.load(open(arguments.run / "metrics.json"))
        for name, score in [
            ("accuracy", accuracy_score(labels[test], predicted)),
            ("macro_f1", f1_score(labels[test], predicted, average="macro")),
        ]:
            print(f"{name}: Midashi {found[name]:.4f}, PyTorch {score:.4f}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
