"""Loss, logits, attention and every gradient of the small BERT of gradient_reference.py without an attention mask.

    python unmasked_reference.py

Reads weights and batch from ../fixtures/gradient_reference.safetensors and writes beside it
gradient_reference_unmasked.safetensors: config, `attention_mask` of ones (padding is attended to, as in the article),
and `loss`, `logits`, `attention.L`, `grad.NAME` as gradient_reference.py names them. Finite differences confirm the
gradients before they are written. PyTorch never lets the embedding of padding learn (`padding_idx`); here its
gradient is what it is, which makes no difference where padding is masked.

Needs what gradient_reference.py needs.
"""

import json

import numpy as np
import torch
from gradient_reference import CONFIG, FIXTURES, Classifier, confirm
from safetensors.torch import load_file, save_file


def main() -> None:
    masked = load_file(FIXTURES / "gradient_reference.safetensors")
    model = Classifier("gelu")
    model.load_state_dict({name: masked[name] for name in model.state_dict()})
    model.bert.embeddings.word_embeddings.padding_idx = None
    batch = {name: masked[name] for name in ("input_ids", "labels")}
    batch["attention_mask"] = torch.ones_like(masked["attention_mask"])
    loss, logits, output = model(batch)
    loss.backward()
    compared = confirm(model, batch, np.random.default_rng(20240602))

    truth = {"loss": loss.reshape(1), "logits": logits}
    truth |= {f"attention.{layer}": attention for layer, attention in enumerate(output.attentions)}
    truth |= {f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    tensors = {name: tensor.detach().float().clone() for name, tensor in truth.items()}
    tensors["attention_mask"] = batch["attention_mask"]
    path = FIXTURES / "gradient_reference_unmasked.safetensors"
    save_file(tensors, path, {"config": json.dumps(CONFIG | {"hidden_act": "gelu"}, sort_keys=True)})
    print(f"{path.name}: loss {loss.item():.6f}, {compared} gradient entries confirmed")


if __name__ == "__main__":
    main()
