"""Small DeBERTa-v2 models, and everything that transformers computes with them.

    python deberta_reference.py

Writes into ../fixtures/deberta:
  v3.safetensors     as published DeBERTa-v3: shared projections, normalised relative embeddings, logarithmic buckets
  conv.safetensors   as ku-nlp's DeBERTa-v2: the same with a convolution after layer 0
  own.safetensors    projections of its own for positions, no buckets but a shorter range than the texts, absolute
                     positions and token types, one layer followed by the convolution
  c2p.safetensors    only content-to-position, and neither normalised embeddings nor shared projections
  buckets.json       [position_buckets, max_relative_positions, [bucket of distance 0, 1, …]] of several geometries

`reference` in the metadata is JSON: `config` is the config.json of transformers, `modules` how PyTorch prints the encoder,
`rate` the dropout of results with dropout. The tensors, L a layer's number:
  deberta.*, pooler.dense.*, classifier.*   weights, named as in DebertaV2ForSequenceClassification.state_dict()
  input_ids, token_type_ids, attention_mask, labels   [texts, tokens] three times, [texts]; int64
  hidden.0, hidden.L+1        output of the embeddings, of layer L, [texts, tokens, hidden]
  attention.L                 [texts, heads, tokens, tokens]; meaningless where the query is padding
  linear.loss, linear.logits, linear.grad.NAME   a linear classifier on [CLS], without dropout
  linear.embeds               gradient of the sum of labels' logits with respect to the word embeddings
  native.logits               the class's own head without dropout
  dropped.loss, dropped.logits, dropped.grad.NAME   the class's own head with dropout masks:
  adamw.NAME                  of conv: weights of the class after 20 steps of PyTorch's AdamW without dropout, see `train`
  dropout.PLACE               as Midashi's training graph wants them: a row for each token that is not padding, and in
                              the last layer for [CLS] alone; heads come first; uint8, to be divided by 1 - rate

Only v3 and conv have results with dropout; only the first three have gradients.

Weights are float32 numbers, computed with in float64; results are rounded to float32 at the end. Before anything is
written, central finite differences must confirm entries of every gradient.

Needs what gradient_reference.py needs.
"""

import copy
import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "deberta"
# What all committed files may weigh together.
MAX_BYTES = 300_000
RATE = 0.25
LABELS = 3
CLS, SEP = 1, 2
# Text lengths: the longest unpadded.
LENGTHS = [18, 11, 2]
# Of AdamW.
STEPS, LEARNING_RATE, DECAY, MAX_NORM = 20, 2e-3, 0.1, 1.0

# The keys that all published models share, at a small size.
V3 = {
    "model_type": "deberta-v2",
    "attention_probs_dropout_prob": 0.1,
    "hidden_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_size": 12,
    "initializer_range": 0.02,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-7,
    "max_position_embeddings": 24,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "pooler_dropout": 0,
    "pooler_hidden_act": "gelu",
    "pooler_hidden_size": 12,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
    "position_buckets": 8,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
    "vocab_size": 30,
}
CONV = V3 | {
    "attention_head_size": 6,
    "conv_act": "gelu",
    "conv_kernel_size": 3,
    "pooler_dropout": RATE,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 6,
}
OWN = V3 | {
    "conv_act": "tanh",
    "conv_kernel_size": 5,
    "hidden_act": "relu",
    "max_relative_positions": 6,
    "norm_rel_ebd": "none",
    "num_hidden_layers": 1,
    "pooler_hidden_act": "tanh",
    "position_biased_input": True,
    "position_buckets": -1,
    "share_att_key": False,
    "type_vocab_size": 2,
}
C2P = V3 | {"norm_rel_ebd": "none", "num_hidden_layers": 1, "pos_att_type": "c2p", "share_att_key": False}
MODELS = {"v3": V3, "conv": CONV, "own": OWN, "c2p": C2P}
# Geometries of buckets: published ones, longer texts than published, and the models of this file.
BUCKETS = [(256, 512), (256, 1024), (320, 512), (32, 128), (8, 24), (6, 24)]


class Given(nn.Module):
    """Multiplies with a mask instead of drawing one."""

    def __init__(self, mask: Tensor):
        super().__init__()
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-self.mask.dim() :] == self.mask.shape, (x.shape, self.mask.shape)
        return x * self.mask


def draw_model(config: dict, random: np.random.Generator) -> DebertaV2ForSequenceClassification:
    """Weights that are float32 numbers and far from any symmetric start."""
    model = DebertaV2ForSequenceClassification(DebertaV2Config(**config, num_labels=LABELS))
    for name, parameter in sorted(model.named_parameters()):
        noise = random.standard_normal(tuple(parameter.shape))
        if name.endswith("LayerNorm.weight"):
            noise = 1 + 0.1 * noise
        else:
            noise = (0.1 if name.endswith("bias") else 0.4) * noise
        parameter.data = torch.from_numpy(noise.astype(np.float32))
    return model.double().eval()


def draw_batch(config: dict, random: np.random.Generator) -> dict[str, Tensor]:
    """Texts with a repeated piece in each and across them, so that embedding gradients add up."""
    shape = (len(LENGTHS), max(LENGTHS))
    input_ids, types = torch.full(shape, config["pad_token_id"]), torch.zeros(shape, dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        pieces = random.integers(SEP + 1, config["vocab_size"], length)
        pieces[1::3] = 7
        pieces[-1], pieces[0] = SEP, CLS
        input_ids[row, :length] = torch.from_numpy(pieces)
        if config["type_vocab_size"]:
            types[row, length // 2 : length] = 1
    attention_mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return {"input_ids": input_ids, "token_type_ids": types, "attention_mask": attention_mask}


def linear(model: DebertaV2ForSequenceClassification, batch: dict[str, Tensor], labels: Tensor):
    """Loss and logits of a linear classifier on [CLS], and the encoder's outputs."""
    output = model.deberta(**batch, output_hidden_states=True, output_attentions=True)
    logits = model.classifier(output.last_hidden_state[:, 0])
    return nn.functional.cross_entropy(logits, labels), logits, output


def native(model: DebertaV2ForSequenceClassification, batch: dict[str, Tensor], labels: Tensor):
    """Loss and logits of the class's own head, and its outputs. (The class computes its loss in float32.)"""
    output = model(**batch)
    return nn.functional.cross_entropy(output.logits, labels), output.logits, output


def gradients(compute, model, batch, labels, random) -> tuple[dict[str, Tensor], int]:
    """Gradients of every parameter that takes part, and how many entries central differences have confirmed."""
    model.zero_grad(set_to_none=True)
    compute(model, batch, labels)[0].backward()
    taken = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    step, compared = 1e-5, 0
    for name, parameter in model.named_parameters():
        if name not in taken:
            assert compute is linear and name.startswith("pooler."), f"{name} has no gradient"
            continue
        flat, gradient = parameter.data.view(-1), taken[name].view(-1)
        largest = gradient.abs().max().item()
        is_zero = name.endswith("key_proj.bias")
        assert is_zero or largest > 1e-4, f"{name}: the gradient is next to nothing ({largest})"
        for entry in sorted({int(gradient.abs().argmax()), *map(int, random.integers(0, len(flat), 3))}):
            kept, losses = flat[entry].item(), []
            for moved in (kept + step, kept - step):
                flat[entry] = moved
                with torch.no_grad():
                    losses.append(compute(model, batch, labels)[0].item())
            flat[entry] = kept
            difference = (losses[0] - losses[1]) / (2 * step)
            error = abs(difference - gradient[entry].item())
            assert error <= 1e-6 * largest + 1e-8, f"{name}[{entry}]: {gradient[entry]}, differences say {difference}"
            compared += 1
    return taken, compared


def embeds_gradient(model, batch: dict[str, Tensor], labels: Tensor) -> Tensor:
    embeds = model.deberta.embeddings.word_embeddings(batch["input_ids"]).detach().requires_grad_()
    others = {name: tensor for name, tensor in batch.items() if name != "input_ids"}
    cls = model.deberta(inputs_embeds=embeds, **others).last_hidden_state[:, 0]
    model.classifier(cls).gather(1, labels[:, None]).sum().backward()
    return embeds.grad


def train(model, batch: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
    """Steps on the batch: weight decay for all but biases and normalisation, gradients clipped to a norm."""
    model = copy.deepcopy(model)
    is_spared = lambda name: name.endswith("bias") or "LayerNorm" in name
    groups = [
        {"params": [p for name, p in model.named_parameters() if is_spared(name) == spared], "weight_decay": decay}
        for spared, decay in ((True, 0.0), (False, DECAY))
    ]
    optimiser, clipped = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8), 0
    for _ in range(STEPS):
        optimiser.zero_grad()
        native(model, batch, labels)[0].backward()
        clipped += bool(nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM) > MAX_NORM)
        optimiser.step()
    assert clipped, "no gradient was clipped"
    return {f"adamw.{name}": parameter.detach() for name, parameter in model.named_parameters()}


def replace_dropout(model, config: dict, present: Tensor, random: np.random.Generator) -> dict[str, Tensor]:
    """Gives masks to all places; returns them as bits in Midashi's layout."""
    heads, layers, width = (config[key] for key in ("num_attention_heads", "num_hidden_layers", "hidden_size"))
    (texts, tokens), bits = present.shape, {}

    def draw(place: str, shape: tuple[int, ...]) -> Tensor:
        bits[place] = torch.from_numpy(random.random(shape) >= RATE)
        return bits[place].double() / (1 - RATE)

    def rows(place: str, is_last: bool = False) -> Given:
        spread = torch.ones(texts, tokens, width, dtype=torch.double)
        if is_last:
            spread[:, 0] = draw(place, (texts, width))
        else:
            spread[present] = draw(place, (int(present.sum()), width))
        return Given(spread)

    def attention(place: str, is_last: bool) -> Given:
        spread = torch.ones(texts, heads, tokens, tokens, dtype=torch.double)
        rows = 1 if is_last else tokens
        spread[:, :, :rows] = draw(place, (heads, texts, rows, tokens)).transpose(0, 1)
        return Given(spread)

    encoder = model.deberta.encoder
    model.deberta.embeddings.dropout = rows("deberta.embeddings")
    for number, layer in enumerate(encoder.layer):
        name, is_last = f"deberta.encoder.layer.{number}", number == layers - 1
        places = encoder.rel_embeddings.weight.shape
        layer.attention.self.pos_dropout = Given(draw(f"{name}.attention.self.pos_dropout", tuple(places)))
        layer.attention.self.dropout = attention(f"{name}.attention.self", is_last)
        layer.attention.output.dropout = rows(f"{name}.attention.output", is_last)
        layer.output.dropout = rows(f"{name}.output", is_last)
    if encoder.conv is not None:
        encoder.conv.dropout = rows("deberta.encoder.conv", layers == 1)
    if config["pooler_dropout"]:
        model.pooler.dropout = Given(draw("pooler.dense", (texts, width)))
    model.dropout = Given(draw("classifier", (texts, width)))
    return bits


def compute(name: str, config: dict) -> None:
    random = np.random.default_rng([20241128, *name.encode()])
    model, batch = draw_model(config, random), draw_batch(config, random)
    modules = str(model.deberta)
    labels = torch.tensor([2, 0, 1])
    loss, logits, output = linear(model, batch, labels)
    truth = {"linear.loss": loss.reshape(1), "linear.logits": logits, **model.state_dict()}
    truth |= {f"hidden.{index}": hidden for index, hidden in enumerate(output.hidden_states)}
    truth |= {f"attention.{layer}": attention for layer, attention in enumerate(output.attentions)}
    truth["native.logits"] = native(model, batch, labels)[1]
    integers, compared = {"labels": labels, **batch}, 0
    if name != "c2p":
        truth["linear.embeds"] = embeds_gradient(model, batch, labels)
        taken, compared = gradients(linear, model, batch, labels, random)
        truth |= {f"linear.grad.{name}": gradient for name, gradient in taken.items()}
    if name == "conv":
        truth |= train(model, batch, labels)
    if name in ("v3", "conv"):
        bits = replace_dropout(model, config, batch["attention_mask"].bool(), random)
        taken, more = gradients(native, model, batch, labels, random)
        loss, logits, _ = native(model, batch, labels)
        truth |= {f"dropped.grad.{name}": gradient for name, gradient in taken.items()}
        truth |= {"dropped.loss": loss.reshape(1), "dropped.logits": logits}
        integers |= {f"dropout.{place}": mask.to(torch.uint8) for place, mask in bits.items()}
        compared += more
    tensors = {name: tensor.detach().float().clone() for name, tensor in truth.items()} | integers
    # One key: safetensors writes several in any order.
    metadata = json.dumps({"config": config, "modules": modules, "rate": RATE}, sort_keys=True)
    save_file(tensors, FOLDER / f"{name}.safetensors", {"reference": metadata})
    print(f"{name}: {compared} gradient entries confirmed, logits {truth['linear.logits'][0].tolist()}")


def buckets() -> None:
    rows = []
    for count, longest in BUCKETS:
        distances = torch.arange(longest + 2)
        found = make_log_bucket_position(distances, count, longest).long()
        assert torch.equal(make_log_bucket_position(-distances, count, longest).long(), -found), "buckets are odd"
        rows.append(json.dumps([count, longest, found.tolist()], separators=(",", ":")))
    (FOLDER / "buckets.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def main() -> None:
    torch.manual_seed(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, config in MODELS.items():
        compute(name, config)
    buckets()
    for file in FOLDER.iterdir():
        file.chmod(0o644)
    written = sum(file.stat().st_size for file in FOLDER.iterdir())
    assert written < MAX_BYTES, f"{written} bytes"
    print(f"{written} bytes")


if __name__ == "__main__":
    main()
