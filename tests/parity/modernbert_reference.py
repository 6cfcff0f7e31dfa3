"""Small ModernBERTs and what transformers computes with them: hidden states, attention, logits, gradients, AdamW.

    python modernbert_reference.py

Writes into ../fixtures:
  modernbert_reference.safetensors  layers global, local, global, local, without biases; keys as before transformers 5
  modernbert_biases.safetensors     layers local, global, with all biases and gelu_new; keys of transformers 5

Local layers attend to 4 tokens on each side, and the longest text has 22 tokens. `config` in the metadata is config.json, `modules`
the encoder as PyTorch prints it.
The tensors, L from 0 to the number of layers - 1, of both files unless said otherwise:
  model.*, head.*, classifier.*       weights, named as in ModernBertForSequenceClassification.state_dict()
  input_ids, attention_mask, labels   [texts, tokens] twice, [texts]; int64
  hidden.0, hidden.L+1                output of the embeddings, of layer L, [texts, tokens, hidden] (not with biases)
  last_hidden_state                   after the final normalisation
  attention.L                         [texts, heads, tokens, tokens] (not with biases)
and, for each CASE, `CASE.loss` [1] (mean cross entropy), `CASE.logits` [texts, labels] and `CASE.grad.NAME` for all weights:
  linear   a linear layer (classifier.*) on the last hidden state of [CLS] (not with biases)
  cls      the head of ModernBertForSequenceClassification with classifier_pooling "cls" (with biases only its logits)
  mean     the same with "mean"
  dropout  cls under dropout masks, see `dropout_mask` (not with biases)
`adamw.NAME` are the weights of `linear` after 20 steps of PyTorch's AdamW, see `train` (not with biases). The explained
logit is the text's label: `explanation.gradient` [texts, tokens, hidden] is its gradient with respect to the word embeddings
(case `cls`).

Weights are float32 numbers, computed with in float64; results are rounded to float32 at the end. transformers rotates queries
and keys and applies softmax in float32 in any model, so both are replaced here by the same formulas in float64; the angles
stay float32. Before anything is written, central finite differences must confirm entries of every gradient.

Needs Python 3.11 with: torch 2.15, transformers 5.24, safetensors 0.8, numpy 2.4.
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import ModernBertConfig, ModernBertForSequenceClassification
from transformers.models.modernbert import modeling_modernbert

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
MAX_BYTES = 300_000
LABELS = 5
CLS, SEP = 2, 3
# Text lengths: the longest unpadded, the shortest nothing but [CLS].
LENGTHS = [22, 13, 6, 1]
SHARED = {
    "bos_token_id": CLS,
    "classifier_pooling": "cls",
    "cls_token_id": CLS,
    "eos_token_id": SEP,
    "hidden_size": 12,
    "intermediate_size": 18,
    "local_attention": 8,
    "max_position_embeddings": 40,
    "model_type": "modernbert",
    "norm_eps": 1e-5,
    "num_attention_heads": 2,
    "pad_token_id": 1,
    "sep_token_id": SEP,
    "vocab_size": 32,
}
CONFIGS = {
    "reference": SHARED
    | {
        "global_attn_every_n_layers": 2,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "num_hidden_layers": 4,
    },
    "biases": SHARED
    | {
        "attention_bias": True,
        "classifier_activation": "gelu_new",
        "classifier_bias": True,
        "hidden_activation": "gelu_new",
        "layer_types": ["sliding_attention", "full_attention"],
        "mlp_bias": True,
        "norm_bias": True,
        "num_hidden_layers": 2,
        "rope_parameters": {
            "full_attention": {"rope_theta": 700.0, "rope_type": "default"},
            "sliding_attention": {"rope_theta": 30.0, "rope_type": "default"},
        },
    },
}
STEPS, RATE, DECAY, MAX_NORM = 20, 2e-3, 0.1, 1.0


def rotated(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
    cos, sin = (factor.unsqueeze(unsqueeze_dim) for factor in (cos, sin))

    def rotate(x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin

    return rotate(query), rotate(key)


def attend(module, query: Tensor, key: Tensor, value: Tensor, attention_mask, scaling: float, **_):
    scores = query @ key.transpose(2, 3) * scaling
    weights = (scores if attention_mask is None else scores + attention_mask).softmax(dim=-1)
    mask = getattr(module, "mask", None)
    dropped = weights if mask is None else weights * mask
    return (dropped @ value).transpose(1, 2).contiguous(), weights


modeling_modernbert.apply_rotary_pos_emb = rotated
modeling_modernbert.eager_attention_forward = attend


def dropout_mask(place: int, shape: tuple[int, ...]) -> Tensor:
    """The mask of a place: embeddings are 0; in layer L, attention weights are 3L+1, what attention adds is 3L+2 and the
    gated product 3L+3; the classifier's input is the last. With padding; number `at` in row-major order is dropped if
    (31 * at + 17 * place) mod 7 is 0 or 1."""
    at = torch.arange(int(np.prod(shape)))
    return torch.where((31 * at + 17 * place) % 7 < 2, 0.0, 1.4).double().reshape(shape)


class Dropping(nn.Module):
    def __init__(self, place: int):
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        return x * dropout_mask(self.place, tuple(x.shape))


def load(config: dict, weights: dict[str, Tensor] | None, case: str) -> ModernBertForSequenceClassification:
    pooling = "mean" if case == "mean" else "cls"
    settings = ModernBertConfig(**config | {"classifier_pooling": pooling}, num_labels=LABELS)
    settings._attn_implementation = "eager"
    model = ModernBertForSequenceClassification(settings)
    if weights is not None:
        model.load_state_dict(weights)
    if case == "linear":
        model.head = nn.Identity()
    if case == "dropout":
        heads = settings.num_attention_heads
        model.model.embeddings.drop = Dropping(0)
        for layer, module in enumerate(model.model.layers):
            module.attn.mask = dropout_mask(3 * layer + 1, (len(LENGTHS), heads, max(LENGTHS), max(LENGTHS)))
            module.attn.out_drop, module.mlp.drop = Dropping(3 * layer + 2), Dropping(3 * layer + 3)
        model.drop = Dropping(3 * settings.num_hidden_layers + 1)
    return model.double().eval()


def draw_weights(config: dict, random: np.random.Generator) -> dict[str, Tensor]:
    """Weights that are float32 numbers and far from any symmetric start, padding's rows included."""

    def draw(name: str, shape: torch.Size) -> Tensor:
        noise = random.standard_normal(shape)
        if name.endswith("norm.weight"):
            noise = 1 + 0.1 * noise
        else:
            noise *= 0.1 if name.endswith("bias") else 0.3
            # Sharp attention, which shows mistakes in positions.
            noise *= 2 if "Wqkv.weight" in name else 1
        return torch.from_numpy(noise.astype(np.float32))

    return {name: draw(name, tensor.shape) for name, tensor in load(config, None, "cls").state_dict().items()}


def draw_batch(random: np.random.Generator) -> dict[str, Tensor]:
    """Texts with a repeated piece in each and across them, so that embedding gradients add up."""
    input_ids = torch.full((len(LENGTHS), max(LENGTHS)), SHARED["pad_token_id"])
    for row, length in enumerate(LENGTHS):
        pieces = random.integers(SEP + 1, SHARED["vocab_size"], length)
        pieces[1::3] = 7
        pieces[-1], pieces[0] = SEP, CLS
        input_ids[row, :length] = torch.from_numpy(pieces)
    attention_mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": torch.tensor([4, 0, 2, 2])}


def compute(model: ModernBertForSequenceClassification, batch: dict[str, Tensor], **more) -> tuple[Tensor, Tensor]:
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **more).logits
    return nn.functional.cross_entropy(logits, batch["labels"]), logits


def confirm(model: nn.Module, batch: dict[str, Tensor], random: np.random.Generator) -> int:
    """Asserts that central differences agree with entries of every gradient; returns how many were compared."""
    step, compared = 2e-6, 0
    for name, parameter in model.named_parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        largest = gradient.abs().max().item()
        assert largest > 1e-3, f"{name}: the gradient is next to nothing ({largest})"
        for entry in sorted({int(gradient.abs().argmax()), *map(int, random.integers(0, len(flat), 4))}):
            kept = flat[entry].item()
            losses = []
            for moved in (kept + step, kept - step):
                flat[entry] = moved
                with torch.no_grad():
                    losses.append(compute(model, batch)[0].item())
            flat[entry] = kept
            difference = (losses[0] - losses[1]) / (2 * step)
            error = abs(difference - gradient[entry].item())
            assert error <= 1e-7 * largest + 1e-9, f"{name}[{entry}]: {gradient[entry]}, differences say {difference}"
            compared += 1
    return compared


def states(model: ModernBertForSequenceClassification, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Hidden states between the layers, and attention."""
    truth = {}

    def keep(name: str):
        return lambda module, inputs, output: truth.update({name: output})

    model.model.embeddings.register_forward_hook(keep("hidden.0"))
    for layer, module in enumerate(model.model.layers):
        module.register_forward_hook(keep(f"hidden.{layer + 1}"))
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    output = model.model(**inputs, output_attentions=True)
    truth |= {f"attention.{layer}": attention for layer, attention in enumerate(output.attentions)}
    return truth | {"last_hidden_state": output.last_hidden_state}


def explain(model: ModernBertForSequenceClassification, batch: dict[str, Tensor]) -> Tensor:
    embedded = model.model.embeddings.tok_embeddings(batch["input_ids"]).detach().requires_grad_()
    logits = model(inputs_embeds=embedded, attention_mask=batch["attention_mask"]).logits
    logits.gather(1, batch["labels"][:, None]).sum().backward()
    return embedded.grad


def train(model: ModernBertForSequenceClassification, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """20 steps on the batch: AdamW (rate 2e-3, betas 0.9 and 0.999, epsilon 1e-8), weight decay 0.1 for all but
    normalisation and biases, gradients clipped to norm 1."""
    spared = [p for name, p in model.named_parameters() if "norm" in name or name.endswith("bias")]
    decayed = [p for name, p in model.named_parameters() if not ("norm" in name or name.endswith("bias"))]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": spared, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    for _ in range(STEPS):
        optimiser.zero_grad()
        compute(model, batch)[0].backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimiser.step()
    return {f"adamw.{name}": parameter.detach() for name, parameter in model.named_parameters()}


def main() -> None:
    written = 0
    for name, config in CONFIGS.items():
        random = np.random.default_rng(20250106)
        weights, batch = draw_weights(config, random), draw_batch(random)
        truth = states(load(config, weights, "cls"), batch)
        truth["explanation.gradient"] = explain(load(config, weights, "cls"), batch)
        whole = name == "reference"
        for case in ("linear", "cls", "mean", "dropout") if whole else ("cls", "mean"):
            model = load(config, weights, case)
            loss, logits = compute(model, batch)
            loss.backward()
            compared = confirm(model, batch, random)
            truth |= {f"{case}.loss": loss.reshape(1), f"{case}.logits": logits}
            if whole or case == "mean":
                truth |= {f"{case}.grad.{parameter}": p.grad for parameter, p in model.named_parameters()}
            print(f"{name}, {case}: loss {loss.item():.6f}, {compared} gradient entries confirmed")
        if whole:
            truth |= train(load(config, weights, "linear"), batch)
        else:
            truth = {key: tensor for key, tensor in truth.items() if not key.startswith(("attention.", "hidden."))}
        tensors = {key: tensor.detach().float().contiguous().clone() for key, tensor in truth.items()}
        path = FIXTURES / f"modernbert_{name}.safetensors"
        metadata = {"config": json.dumps(config, sort_keys=True), "modules": str(load(config, None, "cls").model)}
        save_file(tensors | weights | batch, path, metadata)
        path.chmod(0o644)
        written += path.stat().st_size
    print(f"{written} bytes")
    assert written <= MAX_BYTES


if __name__ == "__main__":
    main()
