"""Loss and every gradient of a small BERT classifier, as PyTorch computes them.

    python gradient_reference.py

Writes into ../fixtures:
  gradient_reference.safetensors           config, weights, batch, and all that the model computes (gelu)
  gradient_reference_gelu_new.safetensors  the same weights and batch with another activation:
  gradient_reference_relu.safetensors      only config, loss, logits and gradients

`config` in the metadata is the config.json of transformers. The tensors, L from 0 to the number of layers - 1:
  bert.*, classifier.*                weights, named as in BertModel.state_dict()
  input_ids, attention_mask, labels   [texts, tokens] twice, [texts]; int64
  loss, logits                        [1], [texts, labels]; loss is the mean cross entropy of [CLS]
  hidden.0, hidden.L+1                output of the embeddings, of layer L, [texts, tokens, hidden]
  last_hidden_state                   the last of them
  attention.L                         [texts, heads, tokens, tokens]; exactly 0 towards padding
  grad.NAME                           gradient of the loss for every weight except the pooler's, which takes no part

Weights are float32 numbers, computed with in float64; results are rounded to float32 at the end. The gradient of
a key bias is 0 in exact arithmetic (softmax ignores a shift), so compare grad.*.key.bias absolutely.
Before anything is written, central finite differences must confirm entries of every gradient.

Needs Python 3.11 with: torch 2.15, transformers 5.23, safetensors 0.8, numpy 2.4.
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
ACTIVATIONS = {"gelu": "", "gelu_new": "_gelu_new", "relu": "_relu"}
CONFIG = {
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0,
    "hidden_size": 16,
    "intermediate_size": 24,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 12,
    "model_type": "bert",
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 50,
}
LABELS = 5
CLS, SEP = 2, 3
# Text lengths: the longest unpadded, the shortest nothing but [CLS].
LENGTHS = [9, 7, 3, 1]


class Classifier(nn.Module):
    """BERT and a linear layer on the last hidden state of [CLS], or on the pooler's output."""

    def __init__(self, activation: str, pooled: bool = False):
        super().__init__()
        self.pooled = pooled
        config = BertConfig(**CONFIG, hidden_act=activation)
        config._attn_implementation = "eager"
        self.bert = BertModel(config)
        self.classifier = nn.Linear(config.hidden_size, LABELS)
        self.double().eval()

    def features(self, output) -> Tensor:
        """What the linear layer reads, [texts, hidden]."""
        return output.pooler_output if self.pooled else output.last_hidden_state[:, 0]

    def forward(self, batch: dict[str, Tensor]):
        output = self.bert(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            output_hidden_states=True,
            output_attentions=True,
        )
        logits = self.classifier(self.features(output))
        return nn.functional.cross_entropy(logits, batch["labels"]), logits, output


def draw_weights(model: Classifier, random: np.random.Generator) -> dict[str, Tensor]:
    """Weights that are float32 numbers and far from any symmetric start."""

    def draw(name: str, shape: torch.Size) -> np.ndarray:
        noise = random.standard_normal(shape)
        if name.endswith("LayerNorm.weight"):
            return 1 + 0.1 * noise
        return 0.1 * noise if name.endswith("bias") else 0.3 * noise

    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    return {name: torch.from_numpy(draw(name, shape).astype(np.float32)) for name, shape in shapes.items()}


def draw_batch(random: np.random.Generator) -> dict[str, Tensor]:
    """Texts with a repeated piece in each and across them, so that embedding gradients add up."""
    input_ids = torch.full((len(LENGTHS), max(LENGTHS)), CONFIG["pad_token_id"])
    for row, length in enumerate(LENGTHS):
        pieces = random.integers(SEP + 1, CONFIG["vocab_size"], length)
        pieces[1::3] = 7
        pieces[-1], pieces[0] = SEP, CLS
        input_ids[row, :length] = torch.from_numpy(pieces)
    attention_mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": torch.tensor([4, 0, 2, 2])}


def confirm(model: Classifier, batch: dict[str, Tensor], random: np.random.Generator) -> int:
    """Asserts that central differences agree with entries of every gradient; returns how many were compared."""
    step, compared = 1e-5, 0
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            assert name.startswith("bert.pooler."), f"{name} has no gradient"
            continue
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        largest = gradient.abs().max().item()
        assert name.endswith("key.bias") or largest > 1e-3, f"{name}: the gradient is next to nothing ({largest})"
        entries = {int(gradient.abs().argmax()), *map(int, random.integers(0, len(flat), 4))}
        for entry in sorted(entries):
            kept = flat[entry].item()
            losses = []
            for moved in (kept + step, kept - step):
                flat[entry] = moved
                with torch.no_grad():
                    losses.append(model(batch)[0].item())
            flat[entry] = kept
            difference = (losses[0] - losses[1]) / (2 * step)
            error = abs(difference - gradient[entry].item())
            assert error <= 1e-7 * largest + 1e-9, f"{name}[{entry}]: {gradient[entry]}, differences say {difference}"
            compared += 1
    return compared


def main() -> None:
    random = np.random.default_rng(20240601)
    weights = draw_weights(Classifier("gelu"), random)
    batch = draw_batch(random)
    for activation, suffix in ACTIVATIONS.items():
        model = Classifier(activation)
        model.load_state_dict(weights)
        loss, logits, output = model(batch)
        loss.backward()
        compared = confirm(model, batch, random)

        truth = {"loss": loss.reshape(1), "logits": logits}
        truth |= {f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
        if activation == "gelu":
            truth |= {f"hidden.{index}": hidden for index, hidden in enumerate(output.hidden_states)}
            truth |= {f"attention.{layer}": attention for layer, attention in enumerate(output.attentions)}
            truth |= {"last_hidden_state": output.last_hidden_state, **weights}
        tensors = {name: tensor.detach().float().clone() for name, tensor in truth.items()}
        tensors |= batch if activation == "gelu" else {}
        path = FIXTURES / f"gradient_reference{suffix}.safetensors"
        FIXTURES.mkdir(exist_ok=True)
        save_file(tensors, path, {"config": json.dumps(CONFIG | {"hidden_act": activation}, sort_keys=True)})
        print(f"{path.name}: loss {loss.item():.6f}, {compared} gradient entries confirmed")


if __name__ == "__main__":
    main()
