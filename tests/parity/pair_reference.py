"""Loss, logits, embeddings and every gradient of the small BERT of gradient_reference.py for pairs of texts.

    python pair_reference.py

Reads weights and batch from ../fixtures/gradient_reference.safetensors and writes beside it
gradient_reference_pairs.safetensors: config, `token_type_ids` ([texts, tokens] int64: 1 from the middle of a text on, 0
before it and for padding), and `loss`, `logits`, `hidden.0`, `grad.NAME` as gradient_reference.py names them. Finite
differences confirm the gradients before they are written.

Needs what gradient_reference.py needs.
"""

import json

import numpy as np
import torch
from gradient_reference import CONFIG, FIXTURES, Classifier, confirm
from safetensors.torch import load_file, save_file
from torch import nn


class Pairs(Classifier):
    """The classifier, which tells the bert which text of a pair a token belongs to."""

    def forward(self, batch):
        inputs = {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
        output = self.bert(**inputs, output_hidden_states=True)
        logits = self.classifier(output.last_hidden_state[:, 0])
        return nn.functional.cross_entropy(logits, batch["labels"]), logits, output


def main() -> None:
    reference = load_file(FIXTURES / "gradient_reference.safetensors")
    batch = {name: reference[name] for name in ("input_ids", "labels", "attention_mask")}
    mask = batch["attention_mask"]
    second = torch.arange(mask.shape[1]) >= (mask.sum(1, keepdim=True) + 1) // 2
    batch["token_type_ids"] = second.long() * mask

    model = Pairs("gelu")
    model.load_state_dict({name: reference[name] for name in model.state_dict()})
    loss, logits, output = model(batch)
    loss.backward()
    compared = confirm(model, batch, np.random.default_rng(20240605))

    truth = {"loss": loss.reshape(1), "logits": logits, "hidden.0": output.hidden_states[0]}
    truth |= {f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    tensors = {name: tensor.detach().float().clone() for name, tensor in truth.items()}
    tensors["token_type_ids"] = batch["token_type_ids"]
    path = FIXTURES / "gradient_reference_pairs.safetensors"
    save_file(tensors, path, {"config": json.dumps(CONFIG | {"hidden_act": "gelu"}, sort_keys=True)})
    print(f"{path.name}: loss {loss.item():.6f}, {compared} gradient entries confirmed")


if __name__ == "__main__":
    main()
