"""Checks a finished training against PyTorch on the same batches: loss of each step, test accuracy at the end.

usage: training_parity.py RUN HEAD [--steps 50] [--whole]

RUN is the folder of a run with the article's recipe (Adam with constant learning rates, no dropout, mask on) and any
`train.trainable_layers`, `train.head` and encoder; HEAD is the folder of the same run with both learning rates 0, whose
`model/` therefore holds what training starts from.

    make all SET='run.name=one …'
    make all SET='run.name=head … train.epochs=1 train.learning_rate.encoder=0 train.learning_rate.classifier=0'
    python training_parity.py artifacts/one artifacts/head

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
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForSequenceClassification

TOLERANCE = 1e-3


def padded(texts, pad):
    longest = max(map(len, texts))
    ids = torch.full((len(texts), longest), pad)
    mask = torch.zeros(len(texts), longest, dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return ids, mask


# The linear layer before the classifier and the classifier, for each class for sequence classification.
HEADS = [
    ("classifier.dense", "classifier.out_proj"),
    ("pre_classifier", "classifier"),
    ("head.dense", "classifier"),
    ("pooler.dense", "classifier"),
    ("bert.pooler.dense", "classifier"),
    ("luke.pooler.dense", "classifier"),
]


def linear_head(model):
    """The linear head of a written model, as it was trained."""
    tensors = model.state_dict()
    dense, classifier = next(pair for pair in HEADS if f"{pair[0]}.weight" in tensors)
    dense, weight, bias = (tensors[f"{dense}.weight"], tensors[f"{classifier}.weight"], tensors[f"{classifier}.bias"])
    labels, hidden = weight.shape
    head = torch.nn.Linear(hidden, labels)
    if dense.count_nonzero() == hidden:
        # Behind a small multiple of the identity, before tanh.
        head.weight.data = weight * dense[0, 0]
    else:
        # Rows and their negatives, multiplied if layer normalisation follows.
        scale = model.config.norm_eps**0.5 if "head.norm.weight" in tensors else 1.0
        head.weight.data = dense[:labels] * weight[0, 0] / scale
    head.bias.data = bias.clone()
    return head


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()

    tokens = pa.ipc.open_file(arguments.run / "tokens.arrow").read_all().to_pydict()
    training = pq.read_table(arguments.run / "training.parquet").to_pylist()
    steps = [row for row in training if row["split"] == "train"]
    train = json.load(open(arguments.run / "run.json"))["stages"]["train"]["settings"]["train"]
    layers = train["trainable_layers"]

    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.head / "model", attn_implementation="eager", dtype=torch.float32
    ).eval()
    encoder = model.base_model
    lists = [module for module in encoder.modules() if isinstance(module, torch.nn.ModuleList)]
    stack = next(modules for modules in lists if len(modules) == encoder.config.num_hidden_layers)
    is_native = train["head"] in ("native", "pooler")
    head = None if is_native else linear_head(model)
    of_encoder = {id(p) for name, p in encoder.named_parameters() if not name.startswith("pooler.")}
    of_head = [p for p in model.parameters() if id(p) not in of_encoder] if is_native else list(head.parameters())
    for parameter in encoder.parameters():
        parameter.requires_grad = layers == "all"
    for layer in [] if layers == "all" else stack[len(stack) - layers :]:
        layer.requires_grad_(True)
    if hasattr(encoder, "final_norm") and layers != 0:
        encoder.final_norm.requires_grad_(True)
    for parameter in of_head:
        parameter.requires_grad = True
    learned = [p for p in encoder.parameters() if p.requires_grad and id(p) in of_encoder]
    rates = train["learning_rate"]
    optimiser = torch.optim.Adam(
        [
            {"params": learned, "lr": rates["encoder"]},
            {"params": of_head, "lr": rates["classifier"]},
        ]
    )

    def logits(rows):
        ids, mask = padded([tokens["input_ids"][row] for row in rows], encoder.config.pad_token_id)
        if is_native:
            return model(ids, attention_mask=mask).logits
        return head(encoder(ids, attention_mask=mask).last_hidden_state[:, 0])

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
