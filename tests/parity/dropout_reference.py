"""Loss, logits and every gradient of the small BERT of gradient_reference.py under given dropout masks.

    python dropout_reference.py [--pooler]

Reads weights and batch from ../fixtures/gradient_reference.safetensors and writes beside it
gradient_reference_dropout.safetensors, or with --pooler gradient_reference_pooler.safetensors, where the classifier reads
the pooler's output as in BertForSequenceClassification: config, `loss`, `logits`, `grad.NAME` as gradient_reference.py names them, and the
masks as Midashi's training graph wants them, `dropout.PLACE`: a row for each token that is not padding, and in the last
layer for [CLS] alone. PyTorch gets the same masks, spread over all rows, where it would draw its own.

Needs what gradient_reference.py needs.
"""

import json
import sys

import numpy as np
import torch
from gradient_reference import CONFIG, FIXTURES, LABELS, Classifier, confirm
from safetensors.torch import load_file, save_file
from torch import nn

HIDDEN, ATTENTION = 0.25, 0.4
HEADS, LAYERS, WIDTH = (CONFIG[key] for key in ("num_attention_heads", "num_hidden_layers", "hidden_size"))


class Dropping(Classifier):
    """The classifier with dropout before it, in training mode."""

    def __init__(self, pooled: bool):
        super().__init__("gelu", pooled)
        self.dropout = nn.Dropout(HIDDEN)
        self.bert.config.hidden_dropout_prob = HIDDEN
        self.bert.config.attention_probs_dropout_prob = ATTENTION
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = HIDDEN
        self.train()

    def forward(self, batch):
        self.calls = 0
        output = self.bert(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        logits = self.classifier(self.dropout(self.features(output)))
        return nn.functional.cross_entropy(logits, batch["labels"]), logits, output


def draw(random: np.random.Generator, share: float, shape) -> torch.Tensor:
    return torch.from_numpy((random.random(shape) >= share) / (1 - share)).double()


def main(pooled: bool) -> None:
    random = np.random.default_rng(20240603)
    reference = load_file(FIXTURES / "gradient_reference.safetensors")
    batch = {name: reference[name] for name in ("input_ids", "labels", "attention_mask")}
    present = batch["attention_mask"].bool()
    texts, tokens = present.shape

    ours, theirs = {}, []

    def rows(place: str) -> None:
        """A mask with a row for each token; padding keeps everything."""
        ours[place] = draw(random, HIDDEN, (int(present.sum()), WIDTH))
        spread = torch.ones(texts, tokens, WIDTH, dtype=torch.double)
        spread[present] = ours[place]
        theirs.append(spread)

    def cls_rows(place: str) -> None:
        ours[place] = draw(random, HIDDEN, (texts, WIDTH))
        spread = torch.ones(texts, tokens, WIDTH, dtype=torch.double)
        spread[:, 0] = ours[place]
        theirs.append(spread)

    rows("bert.embeddings")
    for layer in range(LAYERS):
        name, is_last = f"bert.encoder.layer.{layer}", layer == LAYERS - 1
        attention = draw(random, ATTENTION, (texts, HEADS, 1 if is_last else tokens, tokens))
        ours[f"{name}.attention.self"] = attention
        spread = torch.ones(texts, HEADS, tokens, tokens, dtype=torch.double)
        spread[:, :, : attention.shape[2]] = attention
        theirs.append(spread)
        for part in ("attention.output", "output"):
            (cls_rows if is_last else rows)(f"{name}.{part}")
    ours["classifier"] = draw(random, HIDDEN, (texts, WIDTH))
    theirs.append(ours["classifier"])

    model = Dropping(pooled)
    model.load_state_dict({name: reference[name] for name in model.state_dict()})

    def given(input, p=0.5, training=True, inplace=False):
        mask = theirs[model.calls]
        model.calls += 1
        assert training and mask.shape == input.shape, (mask.shape, input.shape)
        return input * mask

    nn.functional.dropout = given
    loss, logits, _ = model(batch)
    assert model.calls == len(theirs), f"{model.calls} places of {len(theirs)}"
    loss.backward()
    compared = confirm(model, batch, np.random.default_rng(20240604))
    assert logits.shape == (texts, LABELS)

    truth = {"loss": loss.reshape(1), "logits": logits}
    truth |= {f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    truth |= {f"dropout.{place}": mask for place, mask in ours.items()}
    tensors = {name: tensor.detach().float().clone() for name, tensor in truth.items()}
    path = FIXTURES / f"gradient_reference_{'pooler' if pooled else 'dropout'}.safetensors"
    save_file(tensors, path, {"config": json.dumps(CONFIG | {"hidden_act": "gelu"}, sort_keys=True)})
    print(f"{path.name}: loss {loss.item():.6f}, {compared} gradient entries confirmed")


if __name__ == "__main__":
    main(sys.argv[1:] == ["--pooler"])
