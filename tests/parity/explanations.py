"""Checks the explanations of a finished run, computed from scratch in PyTorch.

usage: explanations.py RUN [--texts 20]

Reads RUN's model/ with transformers and confirms, without a line of Midashi's code, texts of one length at a time, so
that there is neither padding nor a mask, and explanations in float64:
  - attention.parquet and explanations.parquet on `--texts` test texts, those with the most columns first: attention of
    [CLS] in every layer and in the last layer's heads, and of every token to every token, within 1e-4; attention
    rollout, gradient x input and integrated gradients within 1e-3 of the text's largest number;
  - leave_one_out of every sampled text, within 1e-4: how much of the probability is lost with a word that is masked;
  - the number of points of integrated gradients and their errors, means and largest, within 1e-4;
  - every mean of metrics.json's `faithfulness`, from PyTorch's own weights, within 1e-3; not those of random weights.
A run with compat.article, whose attention knows padding, is refused. Prints a table of the largest differences; exit
code 1 if one is too large.

Needs Python 3.11 with what classifier_onnx.py needs, and scipy 1.17.
"""

import argparse
import json
import sys
from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from classifier_onnx import categories_of, check, load_classifier, rows_by_id
from scipy.stats import kendalltau

ATTENTION_TOLERANCE, PROBABILITY_TOLERANCE = 1e-4, 1e-4
# Of the largest number of the text.
ATTRIBUTION_TOLERANCE = 1e-3
MEAN_TOLERANCE = 1e-3
BATCH_SIZE = 64
# The quadrature of integrated gradients: sections at first, and how much denser they are in the middle of the path.
SECTIONS, MIDDLE = 12, 0.7
ARTIFACTS = [
    "run.json",
    "tokens.arrow",
    "attention.parquet",
    "explanations.parquet",
    "metrics.json",
    "model/model.safetensors",
    "model/config.json",
]


@dataclass(frozen=True)
class Integration:
    """Most points of integrated gradients, and the error at which no more are added."""

    points: int
    error: float


@dataclass(frozen=True)
class Text:
    """What the model reads."""

    input_ids: tuple[int, ...]
    token_type_ids: tuple[int, ...]

    def masked(self, positions: set[int], replacement: int) -> "Text":
        ids = (replacement if at in positions else token for at, token in enumerate(self.input_ids))
        return Text(tuple(ids), self.token_type_ids)

    def removed(self, positions: set[int]) -> "Text":
        kept = [at for at in range(len(self.input_ids)) if at not in positions]
        return Text(tuple(self.input_ids[at] for at in kept), tuple(self.token_type_ids[at] for at in kept))


class Model:
    """The fine-tuned BERT in transformers."""

    def __init__(self, folder: Path):
        # Thousands of texts are classified, in float32, which is faster.
        self.fast = load_classifier(folder).requires_grad_(False)
        self.network = deepcopy(self.fast).double()
        self.known: dict[Text, np.ndarray] = {}

    def words(self, input_ids: tuple[int, ...]) -> torch.Tensor:
        return self.network.bert.embeddings.word_embeddings(torch.tensor(input_ids))

    def attentions(self, text: Text) -> np.ndarray:
        """`[layers, heads, tokens, tokens]`"""
        ids, types = torch.tensor([text.input_ids]), torch.tensor([text.token_type_ids])
        output = self.network(input_ids=ids, token_type_ids=types, output_attentions=True)
        return np.stack([attention[0].numpy() for attention in output.attentions])

    def gradients(self, words: torch.Tensor, text: Text, category: int) -> torch.Tensor:
        """Of the category's logit with respect to word embeddings, `[points, tokens, hidden]`."""
        words = words.detach().requires_grad_()
        types = torch.tensor([text.token_type_ids]).expand(len(words), -1)
        logits = self.network(inputs_embeds=words, token_type_ids=types).logits
        return torch.autograd.grad(logits[:, category].sum(), words)[0]

    def gradient_x_input(self, text: Text, category: int) -> np.ndarray:
        words = self.words(text.input_ids)
        return (self.gradients(words[None], text, category)[0] * words).sum(-1).numpy()

    def logits(self, words: torch.Tensor, text: Text) -> torch.Tensor:
        types = torch.tensor([text.token_type_ids]).expand(len(words), -1)
        return self.network(inputs_embeds=words, token_type_ids=types).logits.detach()

    def integrated_gradients(
        self, text: Text, baseline: Text, category: int, integration: "Integration"
    ) -> tuple[np.ndarray, int, float]:
        """The weights, the number of points and the error that is left."""
        start, end = self.words(baseline.input_ids), self.words(text.input_ids)
        way = end - start
        logits = self.logits(torch.stack([start, end]), text)[:, category]
        difference = float(logits[1] - logits[0])
        sections = max(min(SECTIONS, integration.points - 1), 1)
        while True:
            even = torch.linspace(0, 1, sections + 1, dtype=torch.float64)
            angle = 2 * torch.pi * even
            places, density = even + MIDDLE * torch.sin(angle) / (2 * torch.pi), 1 + MIDDLE * torch.cos(angle)
            gradients = self.gradients(start + places[:, None, None] * way, text, category)
            mean = torch.trapezoid(gradients * density[:, None, None], even, dim=0)
            weights = (mean * way).sum(-1).numpy()
            missing = abs(weights.sum() - difference)
            error = missing / max(np.abs(weights).sum(), missing, 1e-300)
            if error <= integration.error or 2 * sections + 1 > integration.points:
                return weights, sections + 1, error
            sections *= 2

    def classify(self, texts: set[Text]) -> None:
        """Fills `known` with the texts' probabilities."""
        by_length = defaultdict(list)
        for text in sorted(texts - self.known.keys(), key=lambda text: text.input_ids):
            by_length[len(text.input_ids)].append(text)
        for same in by_length.values():
            for start in range(0, len(same), BATCH_SIZE):
                batch = same[start : start + BATCH_SIZE]
                ids = torch.tensor([text.input_ids for text in batch])
                types = torch.tensor([text.token_type_ids for text in batch])
                logits = self.fast(input_ids=ids, token_type_ids=types).logits
                self.known.update(zip(batch, logits.double().softmax(-1).numpy()))


@dataclass
class Sample:
    """One text, and what explains it."""

    text: Text
    category: int
    # Tokens of every unit, in the order of the text.
    units: list[list[int]]
    attentions: np.ndarray
    # Weights of tokens by method.
    weights: dict[str, np.ndarray]
    # Points of integrated gradients, and their error.
    integration: tuple[int, float] | None

    def scores(self, method: str) -> list[float]:
        return [sum(self.weights[method][at] for at in unit) for unit in self.units]

    def heaviest(self, method: str, share: float) -> tuple[list[int], list[int]]:
        """The heaviest units and the others."""
        scores = self.scores(method)
        order = sorted(range(len(scores)), key=lambda unit: (-scores[unit], unit))
        # As it is written: 0.1 as a binary number is a little more than a tenth.
        count = ceil(Fraction(str(share)) * len(scores))
        return order[:count], order[count:]

    def without(self, units: list[int], how: str, replacement: int) -> Text:
        positions = {at for unit in units for at in self.units[unit]}
        return self.text.masked(positions, replacement) if how == "masked" else self.text.removed(positions)


class Table:
    """Largest differences, printed as they come."""

    def __init__(self):
        self.failures = 0

    def add(self, what: str, differences: list[float], tolerance: float, note: str = "") -> None:
        if not differences:
            print(f"{what:<58} {'none':>9}")
            return
        largest = max(differences)
        # Written so that NaN fails too.
        holds = largest <= tolerance
        self.failures += not holds
        verdict = "" if holds else "  FAILED"
        print(f"{what:<58} {len(differences):>9} {largest:>10.1e} {tolerance:>10.0e}{verdict}{note}")


def difference(found, expected) -> float:
    found, expected = np.asarray(found), np.asarray(expected)
    check(found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}")
    return float(np.abs(found - expected).max(initial=0))


def relative_difference(found, expected) -> float:
    return difference(found, expected) / float(np.abs(expected).max(initial=1e-30))


def units_of(word_ids: list[int | None], kind: str) -> list[list[int]]:
    """Positions of each word's tokens, or of each token; special tokens belong to none."""
    units, before = [], None
    for at, word in enumerate(word_ids):
        if word is not None:
            if kind == "tokens" or word != before:
                units.append([])
            units[-1].append(at)
        before = word
    return units


def rollout(attentions: np.ndarray) -> np.ndarray:
    """`[tokens]`, of all attention `[layers, heads, tokens, tokens]`."""
    product = np.eye(attentions.shape[-1])
    for layer in attentions.mean(1):
        product = (0.5 * layer + 0.5 * np.eye(len(layer))) @ product
    return product[0]


def explain(
    model: Model, row: dict, category: int, units: str, replacement: int | None, accuracy: Integration
) -> Sample:
    text = Text(tuple(row["input_ids"]), tuple(row["token_type_ids"]))
    attentions = model.attentions(text)
    weights = {"rollout": rollout(attentions), "gradient_x_input": model.gradient_x_input(text, category)}
    integration = None
    if replacement is not None:
        words = {at for at, word in enumerate(row["word_ids"]) if word is not None}
        baseline = text.masked(words, replacement)
        weights["integrated_gradients"], *integration = model.integrated_gradients(text, baseline, category, accuracy)
    return Sample(text, category, units_of(row["word_ids"], units), attentions, weights, integration)


def compare_explanations(table: Table, samples: dict[str, Sample], explanations: dict, shown: dict) -> None:
    layers, heads, everything = [], [], []
    relative = defaultdict(list)
    for name, sample in samples.items():
        row, attentions = explanations[name], sample.attentions
        layers.append(difference(row["layer_attention"], attentions.mean(1)[:, 0]))
        if name in shown:
            heads.append(difference(shown[name]["attention"], attentions[-1][:, 0]))
        if row["attentions"] is not None:
            everything.append(difference(row["attentions"], attentions.ravel()))
        for method, expected in sample.weights.items():
            if row[method] is not None:
                relative[method].append(relative_difference(row[method], expected))
    table.add("layer_attention: attentions[layer][0, :, 0, :].mean(0)", layers, ATTENTION_TOLERANCE)
    table.add("attention.parquet: attentions[-1][0, head, 0, :]", heads, ATTENTION_TOLERANCE)
    table.add("attentions: attentions[layer][0, head, :, :]", everything, ATTENTION_TOLERANCE)
    for method in ("rollout", "gradient_x_input", "integrated_gradients"):
        table.add(f"{method}, of the largest number", relative[method], ATTRIBUTION_TOLERANCE)


def compare_faithfulness(
    table: Table, model: Model, samples: dict[str, Sample], explanations: dict, faithfulness: dict, replacement: int
) -> None:
    shares, ways = faithfulness["shares"], ("masked", "removed")
    methods = [row["method"] for row in faithfulness["methods"] if row["method"] != "random"]
    best = faithfulness["best_head"]["head"]
    needed = set()
    for sample in samples.values():
        sample.weights["attention"] = sample.attentions[-1][:, 0].sum(0)
        sample.weights["best_head"] = sample.attentions[-1][best, 0]
        needed.add(sample.text)
        needed |= {sample.without([unit], "masked", replacement) for unit in range(len(sample.units))}
        for method in methods:
            for share in shares:
                for part in sample.heaviest(method, share):
                    needed |= {sample.without(part, how, replacement) for how in ways}
    model.classify(needed)

    def drop(sample: Sample, units: list[int], how: str) -> float:
        without = model.known[sample.without(units, how, replacement)]
        return float((model.known[sample.text] - without)[sample.category])

    drops = {}
    for name, sample in samples.items():
        drops[name] = [drop(sample, [unit], "masked") for unit in range(len(sample.units))]
    differences = []
    for name, sample in samples.items():
        expected = np.zeros(len(sample.text.input_ids))
        for unit, lost in zip(sample.units, drops[name]):
            expected[unit] = lost / len(unit)
        differences.append(difference(explanations[name]["leave_one_out"], expected))
    table.add("leave_one_out", differences, PROBABILITY_TOLERANCE)

    def erasure(method: str, how: str, part: int) -> list[float]:
        """Of every text, the mean over the shares; without the heaviest units (0) or without the others (1)."""
        return [
            np.mean([drop(sample, sample.heaviest(method, share)[part], how) for share in shares])
            for sample in samples.values()
        ]

    def correlation(method: str) -> list[float]:
        pairs = ((sample.scores(method), drops[name]) for name, sample in samples.items())
        return [np.nan_to_num(kendalltau(scores, lost).statistic) if len(lost) > 1 else 0.0 for scores, lost in pairs]

    for row in faithfulness["methods"]:
        method = row["method"]
        if method not in methods:
            continue
        measures = {
            f"{how} {measure}": (row[how][measure], erasure(method, how, part))
            for how in ways
            for part, measure in enumerate(("comprehensiveness", "sufficiency"))
        }
        measures["Kendall's tau with leave_one_out"] = row["leave_one_out"], correlation(method)
        for measure, (found, expected) in measures.items():
            found, expected = found["mean"], float(np.mean(expected))
            note = f"  {found:.7f}, PyTorch {expected:.7f}"
            table.add(f"{method}, {measure}", [abs(found - expected)], MEAN_TOLERANCE, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--texts", type=int, default=20)
    arguments = parser.parse_args()
    run = arguments.run
    for name in ARTIFACTS:
        check((run / name).is_file(), f"{run / name} is not there; run the pipeline up to `make evaluate` first")
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    check("article" not in metrics, f"{run} was evaluated with compat.article; give a run without it")
    settings = json.loads((run / "run.json").read_text(encoding="utf-8"))["stages"]["evaluate"]["settings"]
    explain_settings = settings["evaluate"]["explain"]
    accuracy = Integration(explain_settings["integration_points"], explain_settings["integration_error"])

    with pa.memory_map(str(run / "tokens.arrow")) as source:
        tokens = pa.ipc.open_file(source).read_all()
    texts, categories = rows_by_id(tokens), categories_of(tokens.schema)
    replacement = json.loads(tokens.schema.metadata[b"midashi.replacement"])
    replacement_id = replacement and replacement["id"]
    explanations = rows_by_id(pq.read_table(run / "explanations.parquet"))
    shown = rows_by_id(pq.read_table(run / "attention.parquet"))

    sampled = [name for name, row in explanations.items() if row["integrated_gradients"] is not None]
    columns = ("attentions", "integrated_gradients")
    fullest = sorted(explanations, key=lambda name: [explanations[name][column] is None for column in columns])
    chosen = fullest[: arguments.texts]
    faithfulness = metrics.get("faithfulness")
    units = faithfulness["units"] if faithfulness else "words"

    model = Model(run / "model")
    samples = {}
    for name in dict.fromkeys(chosen + sampled):
        category = categories.index(explanations[name]["category"])
        samples[name] = explain(model, texts[name], category, units, replacement_id, accuracy)

    table = Table()
    print(f"{'':<58} {'compared':>9} {'largest':>10} {'tolerance':>10}")
    compare_explanations(table, {name: samples[name] for name in chosen}, explanations, shown)
    if faithfulness is None:
        print("metrics.json has no faithfulness")
    else:
        found = faithfulness["texts"], faithfulness["replacement"]
        expected = len(sampled), replacement["token"]
        check(found == expected, f"faithfulness: texts and replacement are {found}, expected {expected}")
        of_sample = {name: samples[name] for name in sampled}
        mean_units = np.mean([len(sample.units) for sample in of_sample.values()])
        table.add("mean_units", [abs(faithfulness["mean_units"] - mean_units)], 1e-9)
        points, errors = zip(*(sample.integration for sample in of_sample.values()))
        for name, expected in (
            ("mean_points", np.mean(points)),
            ("mean_error", np.mean(errors)),
            ("largest_error", max(errors)),
        ):
            found = faithfulness["integration"][name]
            note = f"  {found:.7f}, PyTorch {expected:.7f}"
            table.add(f"integrated_gradients, {name}", [abs(found - expected)], 1e-4, note)
        compare_faithfulness(table, model, of_sample, explanations, faithfulness, replacement_id)
    if table.failures:
        sys.exit(f"FAILED: {table.failures} differences are too large")


if __name__ == "__main__":
    main()
