"""Fine-tunes a checkpoint in transformers with the recipe of a finished run, as a whole process to be timed.

usage: training_peer.py RUN CHECKPOINT [--steps N] [--attention sdpa|eager]

RUN is the folder of a run with the article's recipe (Adam with constant learning rates, no dropout, no decay, no
clipping) and any encoder, `train.head` and `train.trainable_layers`. CHECKPOINT is its `model.checkpoint`.

The script reads the run's corpus.parquet, encodes the texts with AutoTokenizer, trains on the run's batches, and
classifies the test split, so that its time compares with that of the stages tokenize, train and evaluate. With --steps it
stops after so many steps; Midashi is then timed on as many.

Prints the seconds of each part, and the test accuracy of both. The heads start from other random numbers, so accuracies
differ by what another seed changes.
"""

import argparse
import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

START = time.perf_counter()


class Linear(torch.nn.Module):
    """The article's head on the encoder."""

    def __init__(self, checkpoint: str, labels: int, attention: str):
        super().__init__()
        self.encoder = AutoModel.from_pretrained(checkpoint, attn_implementation=attention, dtype=torch.float32)
        self.classifier = torch.nn.Linear(self.encoder.config.hidden_size, labels)

    def forward(self, **inputs):
        return self.classifier(self.encoder(**inputs).last_hidden_state[:, 0])


class Native(torch.nn.Module):
    """The class for sequence classification."""

    def __init__(self, checkpoint: str, labels: int, attention: str):
        super().__init__()
        config = AutoConfig.from_pretrained(checkpoint, num_labels=labels, attn_implementation=attention)
        self.model = AutoModelForSequenceClassification.from_pretrained(checkpoint, config=config, dtype=torch.float32)
        self.encoder = self.model.base_model

    def forward(self, **inputs):
        return self.model(**inputs).logits


def layers_of(encoder: torch.nn.Module) -> torch.nn.ModuleList:
    lists = [module for module in encoder.modules() if isinstance(module, torch.nn.ModuleList)]
    return next(modules for modules in lists if len(modules) == encoder.config.num_hidden_layers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--attention", default="sdpa")
    arguments = parser.parse_args()
    torch.set_num_threads(2)

    corpus = pq.read_table(arguments.run / "corpus.parquet").to_pydict()
    settings = json.load(open(arguments.run / "run.json"))["stages"]
    train = settings["train"]["settings"]["train"]
    steps = [row["batch"] for row in pq.read_table(arguments.run / "training.parquet").to_pylist() if row["split"] == "train"]
    names = json.load(open(arguments.run / "model/labels.json"))
    tokenizer = AutoTokenizer.from_pretrained(arguments.checkpoint)
    max_length = json.load(open(arguments.run / "model/midashi.json"))["max_length"]
    texts = tokenizer(corpus["title"], truncation=True, max_length=max_length)["input_ids"]
    labels = torch.tensor([names.index(label) for label in corpus["category"]])
    print(f"tokens: {time.perf_counter() - START:.1f} s, {sum(map(len, texts)) / len(texts):.1f} a text", flush=True)

    kind = Native if train["head"] == "native" else Linear
    model = kind(arguments.checkpoint, len(names), arguments.attention).eval()
    layers, count = layers_of(model.encoder), train["trainable_layers"]
    if count != "all":
        model.encoder.requires_grad_(False)
        for layer in layers[len(layers) - count :]:
            layer.requires_grad_(True)
    of_encoder = {id(parameter) for parameter in model.encoder.parameters()}
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rates = train["learning_rate"]
    optimiser = torch.optim.Adam(
        [
            {"params": [p for p in learned if id(p) in of_encoder], "lr": rates["encoder"]},
            {"params": [p for p in learned if id(p) not in of_encoder], "lr": rates["classifier"]},
        ]
    )

    def logits(rows):
        longest = max(len(texts[row]) for row in rows)
        ids = torch.full((len(rows), longest), model.encoder.config.pad_token_id)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for at, row in enumerate(rows):
            ids[at, : len(texts[row])] = torch.tensor(texts[row])
            mask[at, : len(texts[row])] = 1
        return model(input_ids=ids, attention_mask=mask)

    start, steps = time.perf_counter(), steps[: arguments.steps]
    for batch in steps:
        loss = cross_entropy(logits(batch), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"training: {time.perf_counter() - start:.1f} s for {len(steps)} steps, last loss {loss.item():.4f}", flush=True)

    start = time.perf_counter()
    test = [row for row, split in enumerate(corpus["split"]) if split == "test"]
    with torch.no_grad():
        predicted = torch.cat([logits(test[at : at + 32]).argmax(1) for at in range(0, len(test), 32)])
    accuracy = (predicted == labels[test]).float().mean().item()
    print(f"test split: {time.perf_counter() - start:.1f} s, accuracy {accuracy:.4f}")
    metrics = arguments.run / "metrics.json"
    if metrics.exists():
        print(f"Midashi's accuracy: {json.load(open(metrics))['accuracy']:.4f}")
    print(f"whole process: {time.perf_counter() - START:.1f} s")


if __name__ == "__main__":
    main()
