"""What explains an answer of the small BERT of gradient_reference.py, as PyTorch computes it.

    python explanation_reference.py

Reads weights, batch and token types from ../fixtures/gradient_reference.safetensors and
gradient_reference_pairs.safetensors and writes beside them explanation_reference.safetensors. Each text is explained
alone, without padding; where the tensors have a place for it they hold 0. `config` in the metadata is that of gelu.
CASE is an activation (`gelu`, `gelu_new`, `relu`), `pairs` (gelu, with the token types of the pairs) or `pooler` (gelu,
with the pooler before the classifier):
  categories                  [texts] int64: which category's logit is explained
  baseline_ids                [texts, tokens] int64: where integrated gradients start: the text with id 4 for its words
  CASE.logits, CASE.baseline_logits
                              [texts, labels], of the text and of the baseline
  CASE.gradient               [texts, tokens, hidden]: of the category's logit, with respect to the word embeddings
  CASE.gradient_x_input       [texts, tokens]: its product with the word embeddings, summed over hidden
  CASE.integrated_gradients   [texts, tokens] (Sundararajan et al. 2017): the gradients' mean on the way from the baseline,
                              times that way, summed over hidden; by the trapezoidal rule of 12 sections after the
                              substitution place = u + 0.7 sin(2 pi u) / (2 pi)
  CASE.layer_attention        [texts, layers, tokens]: the row of [CLS], mean over heads
  CASE.rollout                [texts, tokens] (Abnar and Zuidema 2020): the row of [CLS] in the product of the layers'
                              matrices, each 0.5 * mean over heads + 0.5 * identity, the last layer leftmost

Computed in float64, rounded to float32 at the end. Before anything is written, central finite differences must confirm
every entry of every gradient, integrated gradients over 10000 points must sum to the difference of the logits and be
those of the 12 sections within a fifth of the largest, the logits must be those of the padded batch and, where
captum is installed, gradient x input and integrated gradients over equal parts must be captum's.

Needs what gradient_reference.py needs; captum 0.9 if it is there.
"""

import json

import torch
from gradient_reference import CONFIG, FIXTURES, LABELS, SEP, Classifier
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

try:
    from captum.attr import InputXGradient, IntegratedGradients
except ImportError:
    IntegratedGradients = None

CASES = {"gelu": "gelu", "gelu_new": "gelu_new", "relu": "relu", "pairs": "gelu", "pooler": "gelu"}
# None is the text's label.
CATEGORIES = torch.tensor([1, 3, 0, 4])
HIDDEN_ID = SEP + 1
SECTIONS, MIDDLE = 12, 0.7
# Of captum.
POINTS = 20
# Completeness holds for infinitely many points; a ReLU, whose gradient jumps on the way, needs more than 2000.
MANY_POINTS, COMPLETENESS = 10_000, 1e-4
STEP = 1e-5


class Embedded(nn.Module):
    """The classifier of one text, from its word embeddings, `[points, tokens, hidden]`."""

    def __init__(self, model: Classifier, types: Tensor):
        super().__init__()
        self.model, self.types = model, types

    def outputs(self, words: Tensor):
        types = self.types.expand(len(words), -1)
        return self.model.bert(inputs_embeds=words, token_type_ids=types, output_attentions=True)

    def forward(self, words: Tensor) -> Tensor:
        return self.model.classifier(self.model.features(self.outputs(words)))

    def gradients(self, words: Tensor, category: int) -> Tensor:
        """Of the category's logit at every point; one point's logit does not depend on another's words."""
        words = words.detach().requires_grad_()
        return torch.autograd.grad(self(words)[:, category].sum(), words)[0]

    def integrated(self, baseline: Tensor, words: Tensor, category: int, points: int) -> Tensor:
        places = (torch.arange(points, dtype=torch.float64) + 0.5) / points
        way = words - baseline
        return (self.gradients(baseline + places[:, None, None] * way, category).mean(0) * way).sum(-1)

    def integrated_by_sections(self, baseline: Tensor, words: Tensor, category: int) -> Tensor:
        even = torch.linspace(0, 1, SECTIONS + 1, dtype=torch.float64)
        places = even + MIDDLE * torch.sin(2 * torch.pi * even) / (2 * torch.pi)
        density = 1 + MIDDLE * torch.cos(2 * torch.pi * even)
        way = words - baseline
        gradients = self.gradients(baseline + places[:, None, None] * way, category) * density[:, None, None]
        return (torch.trapezoid(gradients, even, dim=0) * way).sum(-1)


def rollout(attentions: Tensor) -> Tensor:
    """`[tokens]`, of the layers' mean attention `[layers, tokens, tokens]`."""
    identity = torch.eye(attentions.shape[-1], dtype=attentions.dtype)
    product = identity
    for attention in attentions:
        product = (0.5 * attention + 0.5 * identity) @ product
    return product[0]


def confirm(text: Embedded, baseline: Tensor, words: Tensor, category: int, found: dict[str, Tensor]) -> None:
    """Asserts that gradient and integrated gradients are what they are called."""
    moves = STEP * torch.eye(words.numel(), dtype=words.dtype).view(-1, *words.shape)
    with torch.no_grad():
        logits = text(torch.cat([words + moves, words - moves]))[:, category].view(2, -1)
    differences = ((logits[0] - logits[1]) / (2 * STEP)).view_as(words)
    largest = found["gradient"].abs().max()
    assert largest > 1e-2, f"the gradient is next to nothing ({largest})"
    error = (differences - found["gradient"]).abs().max()
    assert error <= 1e-7 * largest + 1e-9, f"gradient: finite differences differ by {error}"

    exact = text.integrated(baseline, words, category, MANY_POINTS)
    error = (exact - found["integrated_gradients"]).abs().max()
    assert error <= exact.abs().max() / 5, f"integrated gradients: {SECTIONS} sections miss {error}"
    total = exact.sum()
    error = (total - found["logits"][category] + found["baseline_logits"][category]).abs()
    assert error < COMPLETENESS, f"integrated gradients miss the difference of the logits by {error}"

    if IntegratedGradients is not None:
        product = InputXGradient(text).attribute(words[None].requires_grad_(), target=category)[0].sum(-1)
        torch.testing.assert_close(product.detach(), found["gradient_x_input"])
        integrated = IntegratedGradients(text, multiply_by_inputs=True)
        steps = {"n_steps": POINTS, "method": "riemann_middle"}
        integrated = integrated.attribute(words[None], baseline[None], target=category, **steps)[0].sum(-1)
        torch.testing.assert_close(integrated.detach(), text.integrated(baseline, words, category, POINTS))


def explain(text: Embedded, baseline: Tensor, words: Tensor, category: int) -> dict[str, Tensor]:
    with torch.no_grad():
        logits, baseline_logits = text(words[None])[0], text(baseline[None])[0]
        attentions = torch.stack(text.outputs(words[None]).attentions)[:, 0].mean(1)
    gradient = text.gradients(words[None], category)[0]
    return {
        "logits": logits,
        "baseline_logits": baseline_logits,
        "gradient": gradient,
        "gradient_x_input": (gradient * words).sum(-1),
        "integrated_gradients": text.integrated_by_sections(baseline, words, category),
        # Tokens first, which is the axis that is filled up.
        "layer_attention": attentions[:, 0].T,
        "rollout": rollout(attentions),
    }


def stock_logits(model: Classifier, batch: dict[str, Tensor]) -> Tensor:
    """What BertForSequenceClassification computes with the weights of `model`."""
    stock = BertForSequenceClassification(BertConfig(**CONFIG, num_labels=LABELS)).double().eval()
    stock.load_state_dict(model.state_dict())
    with torch.no_grad():
        return stock(batch["input_ids"], batch["attention_mask"]).logits.float()


def main() -> None:
    reference = load_file(FIXTURES / "gradient_reference.safetensors")
    pairs = load_file(FIXTURES / "gradient_reference_pairs.safetensors")
    ids, lengths = reference["input_ids"], reference["attention_mask"].sum(1).tolist()
    baselines = ids.clone()
    for row, length in enumerate(lengths):
        baselines[row, 1 : max(length - 1, 1)] = HIDDEN_ID

    tensors = {"categories": CATEGORIES, "baseline_ids": baselines}
    for case, activation in CASES.items():
        model = Classifier(activation, pooled=case == "pooler")
        model.load_state_dict({name: reference[name] for name in model.state_dict()})
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        types = pairs["token_type_ids"] if case == "pairs" else torch.zeros_like(ids)
        table = model.bert.embeddings.word_embeddings
        texts = []
        for row, length in enumerate(lengths):
            text, category = Embedded(model, types[row, :length]), CATEGORIES[row].item()
            words, baseline = table(ids[row, :length]), table(baselines[row, :length])
            found = explain(text, baseline, words, category)
            confirm(text, baseline, words, category, found)
            texts.append(found)
        for name in texts[0]:
            padded = nn.utils.rnn.pad_sequence([text[name] for text in texts], batch_first=True)
            padded = padded.transpose(1, 2) if name == "layer_attention" else padded
            tensors[f"{case}.{name}"] = padded.float().contiguous()
        if case == "pooler":
            # transformers' own classifier, on the padded batch.
            stored = {"logits": stock_logits(model, reference)}
        else:
            file = "pairs" if case == "pairs" else activation
            stored = reference if case == "gelu" else load_file(FIXTURES / f"gradient_reference_{file}.safetensors")
        torch.testing.assert_close(tensors[f"{case}.logits"], stored["logits"])

    path = FIXTURES / "explanation_reference.safetensors"
    save_file(tensors, path, {"config": json.dumps(CONFIG | {"hidden_act": "gelu"}, sort_keys=True)})
    beside = "" if IntegratedGradients is None else ", and by captum"
    print(f"{path.name}: {len(CASES)} x {len(lengths)} texts confirmed by finite differences and completeness{beside}")


if __name__ == "__main__":
    main()
