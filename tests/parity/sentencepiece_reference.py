"""Ids of the tokenizer classes that read a SentencePiece model, from SentencePiece itself.

    python sentencepiece_reference.py
    python sentencepiece_reference.py --corpus CORPUS [--cache CACHE]

The first writes `crates/tokenizer/tests/fixtures/sentencepiece`: four small models trained on the sample corpus
(Unigram and BPE, with and without byte fallback), 100 hard lines, and for each case of `cases.json` the ids of the
lines and of some pairs. It also writes the seeds of `tests/fuzz` for models.

The second trains four models of 8,000 pieces on titles and bodies of CORPUS (the livedoor news .tar.gz, or a folder of
the same layout), and compares Midashi's ids of all titles and 10,000 lines of bodies with the reference's, for every
class. The same lines go through the `tokenizer.json` that Midashi writes beside the model for AutoTokenizer. The
numbers of texts that differ are printed; the exit code is 1 if Midashi's ids differ.

The classes are those of transformers 4 with `use_fast=False`, as which the checkpoints were trained: special tokens
split the text, SentencePiece cuts what is between them, and the class numbers the pieces. transformers 5 has no such
classes any more: it rebuilds them from parts of the `tokenizers` library, without the model's map of characters
(DebertaV2Tokenizer, MLukeTokenizer), with the unknown token at a fixed id (T5Tokenizer), with other ids
(MLukeTokenizer), or not at all (AlbertTokenizer raises a TypeError). `SentencePieceBackend`, its base of such classes,
is still there, and is used here.

Needs Python 3.11 with: transformers 5.24, sentencepiece 0.2.3, fugashi 1.5, unidic-lite 1.0.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import sentencepiece
from transformers import AutoTokenizer, BertJapaneseTokenizer
from transformers.models.bert_japanese.tokenization_bert_japanese import SentencepieceTokenizer
from transformers.tokenization_utils_base import AddedToken
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

from tokenize_reference import REPOSITORY, articles, midashi_ids

FIXTURES = REPOSITORY / "crates/tokenizer/tests/fixtures/sentencepiece"
SEEDS = REPOSITORY / "tests/fuzz/seeds/sentencepiece"
SAMPLE = REPOSITORY / "data/sample/text"

ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
FAIRSEQ = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
BERT = {"bos_token": "[CLS]", "eos_token": "[SEP]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
DEFAULTS = {
    "T5Tokenizer": {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    "AlbertTokenizer": {**BERT, "unk_token": "<unk>", "pad_token": "<pad>"},
    "DebertaV2Tokenizer": {**BERT, "unk_token": "[UNK]", "pad_token": "[PAD]"},
    "XLMRobertaTokenizer": {
        "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>",
        "pad_token": "<pad>", "mask_token": "<mask>",
    },
    "LlamaTokenizer": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
}
DEFAULTS["MLukeTokenizer"] = DEFAULTS["XLMRobertaTokenizer"]
FILES = {
    "T5Tokenizer": "spiece.model",
    "AlbertTokenizer": "spiece.model",
    "DebertaV2Tokenizer": "spm.model",
    "XLMRobertaTokenizer": "sentencepiece.bpe.model",
    "MLukeTokenizer": "sentencepiece.bpe.model",
    "LlamaTokenizer": "tokenizer.model",
    "BertJapaneseTokenizer": "spiece.model",
    "DistilBertJapaneseTokenizer": "spiece.model",
}


class Published(SentencePieceBackend):
    """A class as it was published: SentencePiece between special tokens, with the class's ids."""

    def __init__(self, model: pathlib.Path, settings: dict):
        self.name = settings["tokenizer_class"]
        self.cleaning = None
        tokens = DEFAULTS[self.name] | {role: settings[role] for role in ROLES if role in settings}
        self.lower = settings.get("do_lower_case", self.name == "AlbertTokenizer")
        # The class's documentation asks to put [CLS] before the text: it does not add it.
        self.begins = settings.get("cls_token") if self.name == "T5Tokenizer" else tokens.get("cls_token")
        if self.name == "LlamaTokenizer":
            self.begins = tokens["bos_token"] if settings.get("add_bos_token", True) else None
            self.ends = tokens["eos_token"] if settings.get("add_eos_token", False) else None
        else:
            self.ends = tokens.get("sep_token" if self.name != "T5Tokenizer" else "eos_token")
        if self.name in ("XLMRobertaTokenizer", "MLukeTokenizer", "AlbertTokenizer"):
            tokens["mask_token"] = AddedToken(tokens["mask_token"], lstrip=True, special=True, normalized=False)
        # A token that the class does not add and the model lacks has no id, and is no token.
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        pieces = {processor.id_to_piece(id): id for id in range(processor.get_piece_size())}
        own = {"<pad>", "<mask>"} if self.name in ("XLMRobertaTokenizer", "MLukeTokenizer") else set()
        own |= {"[MASK]"} if self.name == "DebertaV2Tokenizer" else set()
        tokens = {role: token for role, token in tokens.items() if str(token) in pieces or str(token) in own}
        extra = ["<ent>", "<ent2>"] if self.name == "MLukeTokenizer" else []
        super().__init__(vocab_file=str(model), extra_special_tokens=extra, **tokens)
        if self.name == "AlbertTokenizer":
            self.cleaning = SentencepieceTokenizer(
                str(model),
                unk_token="<unk>",
                do_lower_case=self.lower,
                remove_space=settings.get("remove_space", True),
                keep_accents=settings.get("keep_accents", False),
            )

    def _tokenize(self, text, **_):
        text = text.lower() if self.lower else text
        return self.cleaning.tokenize(text) if self.cleaning else self.sp_model.encode(text, out_type=str)

    def _convert_token_to_id_with_added_voc(self, token):
        id, count = self.sp_model.piece_to_id(token), self.sp_model.get_piece_size()
        if self.name in ("XLMRobertaTokenizer", "MLukeTokenizer"):
            after = {"<mask>": count + 1, "<ent>": count + 2, "<ent2>": count + 3}
            if token in after and (token == "<mask>" or self.name == "MLukeTokenizer"):
                return after[token]
            return FAIRSEQ[token] if token in FAIRSEQ else id + 1 if id else FAIRSEQ["<unk>"]
        if token in self._added_tokens_encoder:
            return self._added_tokens_encoder[token]
        return id

    def whole(self, first: str, second: str | None = None, max_length: int | None = None):
        """Ids and token types."""
        number = self._convert_token_to_id_with_added_voc
        before = [number(self.begins)] if self.begins else []
        after = [number(self.ends)] if self.ends else []
        pieces = [[number(token) for token in self.tokenize(text)] for text in (first, second) if text is not None]
        if second is None:
            return before + pieces[0] + after, None
        fairseq = self.name in ("XLMRobertaTokenizer", "MLukeTokenizer")
        between = after if fairseq else before if self.name == "LlamaTokenizer" else []
        room = max_length - len(before + after + between + after)
        first = pieces[0][:room]
        second = pieces[1][: room - len(first)]
        has_types = self.name in ("AlbertTokenizer", "DebertaV2Tokenizer")
        ids = before + first + after + between
        return ids + second + after, [0] * len(ids) + [int(has_types)] * len(second + after)


class Japanese:
    """Words of MeCab, and SentencePiece: BertJapaneseTokenizer is still transformers' own."""

    def __init__(self, folder: pathlib.Path):
        self.inner = BertJapaneseTokenizer.from_pretrained(folder)

    def whole(self, first: str, second: str | None = None, max_length: int | None = None):
        if second is None:
            return self.inner(first)["input_ids"], None
        found = self.inner(
            [first], [second], truncation="only_second", max_length=max_length, return_token_type_ids=True
        )
        return found["input_ids"][0], found["token_type_ids"][0]


def reference(folder: pathlib.Path, settings: dict):
    """The class of these settings, with its model in `folder`."""
    name = settings["tokenizer_class"]
    if name == "DistilBertJapaneseTokenizer":
        # The defaults of the code that LINE publishes with its model.
        mecab = {"mecab_kwargs": {"mecab_dic": "unidic_lite"}}
        settings = {"word_tokenizer_type": "mecab", "subword_tokenizer_type": "sentencepiece", **mecab, **settings}
        settings["tokenizer_class"] = "BertJapaneseTokenizer"
    if settings["tokenizer_class"] == "BertJapaneseTokenizer":
        with tempfile.TemporaryDirectory() as copy:
            shutil.copy(folder / "spiece.model", copy)
            (pathlib.Path(copy) / "tokenizer_config.json").write_text(json.dumps(settings))
            return Japanese(pathlib.Path(copy))
    return Published(folder / FILES[name], settings)


def checkpoint(folder: pathlib.Path, model: pathlib.Path, settings: dict) -> pathlib.Path:
    """Writes a checkpoint's tokenizer: the model and its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(model, folder / FILES[settings["tokenizer_class"]])
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


# Normalisation rules of our own, as the second kind of map beside SentencePiece's nmt_nfkc: a quarter of a megabyte.
RULES = {
    "　": " ", "\t": " ", "\n": " ", "\r": " ", "！": "!", "？": "?", "．": ".", "㍿": "株式会社", "㌔": "キロ", "ｶﾞ": "ガ",
    "ｶ": "カ", "ﾞ": "\u3099", "か\u3099": "が", "ﬁ": "fi", "①": "1", "…": "...", "ー−": "ー", "\u200b": "",
    "\ufeff": "", "™": "TM", "Ａ": "A", "Ｂ": "B", "１": "1", "２": "2", "½": "1⁄2",
}
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]


def train(model: pathlib.Path, texts: list[str], pieces: int, kind: str, bytes: bool, rules: bool, named: bool, coverage=0.995):
    """Trains a model. `named`: with BERT's special tokens, as rinna's models; otherwise with SentencePiece's own."""
    options = {"unk_piece": "[UNK]" if named and rules else "<unk>", "control_symbols": SPECIAL} if named else {}
    if rules:
        file = model.with_suffix(".tsv")
        spell = lambda text: " ".join(f"{ord(character):X}" for character in text)
        file.write_text("".join(f"{spell(old)}\t{spell(new)}\n" for old, new in RULES.items()), encoding="utf-8")
        options["normalization_rule_tsv"] = str(file)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(model.with_suffix("")),
        vocab_size=pieces,
        model_type=kind,
        byte_fallback=bytes,
        character_coverage=coverage,
        user_defined_symbols=["<title>", "※注"],
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    model.with_suffix(".vocab").unlink()
    if rules:
        model.with_suffix(".tsv").unlink()
    forget_training(model)


def forget_training(model: pathlib.Path):
    """Leaves out of the model what was only for the training: paths, the map's source, and the rules for decoding."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(model.read_bytes())
    proto.trainer_spec.ClearField("input")
    proto.trainer_spec.ClearField("model_prefix")
    proto.normalizer_spec.ClearField("normalization_rule_tsv")
    proto.ClearField("denormalizer_spec")
    model.write_bytes(proto.SerializeToString())


# name: algorithm, byte fallback, rules of our own, BERT's special tokens.
MODELS = {
    "unigram": ("unigram", False, False, True),
    "unigram_bytes": ("unigram", True, True, False),
    "bpe": ("bpe", False, True, False),
    "bpe_bytes": ("bpe", True, True, True),
}

RINNA = {
    "tokenizer_class": "T5Tokenizer", "do_lower_case": True, "extra_ids": 0, "bos_token": "<s>", "eos_token": "</s>",
    "unk_token": "<unk>", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
}
LINE = {
    "tokenizer_class": "DistilBertJapaneseTokenizer", "unk_token": "<unk>", "do_lower_case": False,
    "auto_map": {"AutoTokenizer": ["distilbert_japanese_tokenizer.DistilBertJapaneseTokenizer", None]},
}
ALBERT = {"tokenizer_class": "AlbertTokenizer", "pad_token": "[PAD]"}
# name: model and settings.
CASES = {
    "t5_rinna": ("unigram", RINNA),
    "t5": ("bpe", {"tokenizer_class": "T5Tokenizer"}),
    "xlm_roberta": ("unigram_bytes", {"tokenizer_class": "XLMRobertaTokenizer"}),
    "xlm_roberta_bpe": ("bpe", {"tokenizer_class": "XLMRobertaTokenizer"}),
    "mluke": ("unigram_bytes", {"tokenizer_class": "MLukeTokenizer"}),
    "albert": ("unigram", ALBERT),
    "albert_accents": ("unigram", {**ALBERT, "do_lower_case": False, "keep_accents": True, "remove_space": False}),
    "deberta": ("bpe_bytes", {"tokenizer_class": "DebertaV2Tokenizer"}),
    "deberta_lower": ("unigram", {"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": True, "unk_token": "<unk>"}),
    "llama": ("bpe_bytes", {"tokenizer_class": "LlamaTokenizer", "unk_token": "[UNK]", "add_eos_token": True}),
    "line": ("unigram", LINE),
}

HARD = [
    "", " ", "　", "\t \n", "東京", " 東京", "東京 ", "  東京   都  ", "東京　都", "東京\t都\n庁",
    "ＡＢＣ１２３！？", "ｶﾞｷﾞｸﾞ ﾊﾟﾋﾟ", "か\u3099は\u309aか\u309a", "㍿日立", "㌔メートル", "①②③", "½カップ", "ﬁne ﬀ ﬃ",
    "e\u0301cole Å \u212b", "İstanbul ΟΔΟΣ ß", "😀👍🏽👨‍👩‍👧‍👦🇯🇵", "a\u200bb\u200dc\ufeffd", "\u0000a\u0007b\u001fc",
    "a\u0000", "\u2028行\u2029段", "a\u00a0b\u3000c\u2003d", "▁東京▁都", "▁", "▁▁ ▁", "東京▁",
    "𠮷野家で𩸽", "髙﨑 彅", "亜哲鏝鱻龘", "辻\U000e0100さん", "神\ufe00社", "한글 \u1112\u1161\u11ab", "ไทย हिन्दी",
    "العربية", "…さ、散々な……", "あ！！！いい！！", "ｗｗｗｗｗ", "―—‐−ー〜～", "「『新型』」", "``引用'' ''だ``", "'''三つ'''",
    "1,000円", "5,", "12,345,678", "１，０００円", "a,b,c,", "第3,回", "[MASK]", " [MASK] を", "東京[MASK]都",
    "東京 [MASK] 都", "<mask>", "あ <mask> い", "<s>太字</s>", "[CLS]A[SEP]B[SEP]", "[PAD][UNK]<unk><pad>",
    "<title>見出し", "見出し<title> 本文", "※注意※注", "< title >", "＜title＞", "<0x41>", "<0xE3><0x81>", "<ent>と<ent2>",
    "http://example.com/?q=%E6%9D%B1&a=1", "user@example.com", "C:\\Windows\\", "#タグ @名前", "ＪＲ東日本", "３ＬＤＫ",
    "スマートフォン", "ディズニーランド", "ヴァイオリン", "ゝゞヽヾ", "々〆〇", "ぁぃぅぇぉゃゅょっ", "ァィゥェォヵヶ",
    "日本語と English が mixed です", "ABC abc ＡＢＣ ａｂｃ", "２０１２年１月", "３．１４１５９", "−５℃", "100％", "¥1,980", "$5.00",
    "（株）テスト㈱", "令和元年㋿", "ｱｲｳｴｵ", "ﾞﾟ", "が゛", "は゜", "\u3099", "x\u0302\u0323",
    "\ud7ff\ue000\ufffd", "\U0010ffff", "同じ同じ同じ同じ同じ同じ同じ同じ",
]


def sample_texts() -> list[str]:
    files = sorted(SAMPLE.rglob("*.txt"))
    lines = [line.strip() for file in files for line in file.read_text(encoding="utf-8").split("\n")]
    return [line for line in lines if line]


def write_fixtures():
    assert len(HARD) == 100, len(HARD)
    shutil.rmtree(FIXTURES, ignore_errors=True)
    FIXTURES.mkdir(parents=True)
    # Few texts have few characters, so that small models have room for pieces beside them.
    texts = sample_texts()[:150]
    for name, (kind, bytes, rules, named) in MODELS.items():
        train(FIXTURES / f"{name}.model", texts, 750, kind, bytes, rules, named, 0.98)
    SEEDS.mkdir(parents=True, exist_ok=True)
    for kind in ("unigram", "bpe"):
        train(SEEDS / f"{kind}.model", texts[:8], 136, kind, False, True, False, 0.98)
    (FIXTURES / "hard.jsonl").write_text("".join(json.dumps(line) + "\n" for line in HARD), encoding="ascii")
    cases, ids = {}, {}
    for name, (model, settings) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = checkpoint(pathlib.Path(folder), FIXTURES / f"{model}.model", settings)
            tokenizer = reference(folder, settings)
            ids = [tokenizer.whole(line)[0] for line in HARD]
            pairs = [tokenizer.whole(HARD[at], HARD[at + 1], 64) for at in range(50, 80, 2)]
        cases[name] = {"model": model, "file": FILES[settings["tokenizer_class"]], "settings": settings}
        lines = [" ".join(map(str, line)) for line in ids]
        lines += [" ".join(map(str, ids)) + "\t" + " ".join(map(str, types)) for ids, types in pairs]
        (FIXTURES / f"{name}.txt").write_text("".join(line + "\n" for line in lines), encoding="ascii")
    (FIXTURES / "cases.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(sum(file.stat().st_size for file in FIXTURES.iterdir()), "bytes")


def corpus_texts(corpus: pathlib.Path) -> tuple[list[str], list[str]]:
    """All titles, and 10,000 lines of bodies, as the articles have them."""
    titles, bodies = [], []
    for article in articles(corpus):
        lines = article.split("\n")
        titles.append(lines[2])
        bodies += [line for line in lines[3:] if line.strip()]
    random.Random(0).shuffle(bodies)
    return titles, bodies[:10_000]


def export(folder: pathlib.Path, cache: pathlib.Path) -> pathlib.Path:
    """The tokenizer as Midashi writes it for transformers."""
    target = folder / "exported"
    target.mkdir()
    command = ["cargo", "run", "--quiet", "--release", "-p", "midashi-tests", "--example", "export_tokenizer", "--"]
    subprocess.run([*command, folder, target, cache], cwd=REPOSITORY, check=True)
    return target


def compare(corpus: pathlib.Path, cache: pathlib.Path) -> int:
    titles, bodies = corpus_texts(corpus)
    texts, different = titles + bodies, 0
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        for model, (kind, bytes, _, _) in MODELS.items():
            for named in (True, False):
                train(place / f"{model}{named}.model", texts, 8_000, kind, bytes, False, named)
        for model in MODELS:
            for name, (_, settings) in CASES.items():
                named = settings["tokenizer_class"] in ("AlbertTokenizer", "DebertaV2Tokenizer") or "cls_token" in settings
                named |= name == "line"
                if settings.get("unk_token") == "[UNK]":
                    settings = {**settings, "unk_token": "<unk>"}
                elif settings["tokenizer_class"] == "DebertaV2Tokenizer":
                    settings = {**settings, "unk_token": "<unk>"}
                folder = checkpoint(place / f"{model}-{name}", place / f"{model}{named}.model", settings)
                tokenizer = reference(folder, settings)
                expected = [tokenizer.whole(text)[0] for text in texts]
                found = midashi_ids(folder, cache, texts)
                exported = AutoTokenizer.from_pretrained(export(folder, cache))(texts)["input_ids"]
                wrong = sum(one != other for one, other in zip(expected, found, strict=True))
                in_transformers = sum(one != list(other) for one, other in zip(found, exported, strict=True))
                print(
                    f"{model} {name}: {len(titles)} titles, {len(bodies)} lines, {sum(map(len, expected))} ids; "
                    f"{wrong} texts differ; {in_transformers} differ in AutoTokenizer",
                    flush=True,
                )
                different += wrong
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=pathlib.Path, help="compare Midashi on this corpus")
    parser.add_argument("--cache", type=pathlib.Path, default=REPOSITORY / "cache")
    arguments = parser.parse_args()
    if arguments.corpus:
        sys.exit(1 if compare(arguments.corpus.resolve(), arguments.cache.resolve()) else 0)
    write_fixtures()


if __name__ == "__main__":
    main()
