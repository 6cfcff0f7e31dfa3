"""Small tokenizers of several languages, and how Python cuts texts with them before their vocabularies are trimmed.

    python trim_reference.py
    python trim_reference.py --check [--cache CACHE]
    python trim_reference.py --check CHECKPOINT --corpus CORPUS

The first writes `crates/tokenizer/tests/fixtures/trim`: for each form of a tokenizer a folder with its files, trained on the
sample corpus and on invented lines in ten other scripts and languages; `corpus.jsonl`, the lines that count as a corpus, and
`held_out.jsonl`, other lines in Japanese and ASCII; and in each folder `expected.jsonl`, the pieces of both by the program that the
format is of: the `tokenizers` library, transformers' BertTokenizer, SentencePiece.

The second lets Midashi trim each folder to the corpus, and reads what it wrote with the same program: the pieces must be the same, and
the ids those of the kept pieces in their old order. Given a checkpoint with a `tokenizer.json` and the livedoor news .tar.gz (or a folder of its
layout), it trims that to every fifth title and compares all titles. The exit code is 1 if a text differs.

The trainers of the `tokenizers` library break ties at random, so the first writes other files each time.

Needs Python 3.11 with: tokenizers 0.23, transformers 5.24, sentencepiece 0.2.3.
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
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizer

from tokenize_reference import REPOSITORY, texts_of

FIXTURES = REPOSITORY / "crates/tokenizer/tests/fixtures/trim"
SAMPLE = REPOSITORY / "data/sample/text"

WORDS = {
    "Korean": "오늘 내일 서울 날씨 기차 영화 음악 사람 학교 새로운 뉴스 축구 경기 승리 판매 시작 전화 가격 발표",
    "Thai": "วันนี้ พรุ่งนี้ กรุงเทพ อากาศ รถไฟ ภาพยนตร์ เพลง โรงเรียน ข่าว ฟุตบอล ชัยชนะ โทรศัพท์ ราคา",
    "Russian": "сегодня завтра Москва погода поезд фильм музыка люди школа новости футбол победа телефон цена",
    "Arabic": "اليوم غدا القاهرة الطقس قطار فيلم موسيقى الناس مدرسة أخبار كرة فوز هاتف سعر",
    "Greek": "σήμερα αύριο Αθήνα καιρός τρένο ταινία μουσική άνθρωποι σχολείο νέα νίκη τηλέφωνο τιμή",
    "French": "aujourd’hui demain été météo théâtre élève français déjà près créé numéro société vélo fenêtre",
    "German": "heute Straße schön Züge über größer Mädchen Bücher Lösung fröhlich Käse früher können",
    "Vietnamese": "hôm nay ngày mai thời tiết tàu hỏa điện ảnh âm nhạc trường học tin tức bóng đá chiến thắng",
    "Hindi": "आज कल दिल्ली मौसम रेलगाड़ी फिल्म संगीत लोग विद्यालय समाचार जीत फोन कीमत",
    "English": "today weather train movie music people school news football victory phone price release update",
}


def foreign(count: int, seed: int) -> list[str]:
    """Invented lines: words of one language each."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        language = draw.choice(sorted(WORDS))
        lines.append(" ".join(draw.choices(WORDS[language].split(), k=draw.randint(3, 7))))
    return lines


def titles() -> list[str]:
    files = sorted(path for path in SAMPLE.rglob("*.txt") if path.name != "LICENSE.txt")
    return [path.read_text(encoding="utf-8").splitlines()[2] for path in files]


SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def unigram(lines: list[str], folder: pathlib.Path) -> None:
    """SentencePiece's training in the form of multilingual encoders: `<mask>` last."""
    model = folder / "trained"
    train_sentencepiece(lines, model, "unigram", False)
    processor = sentencepiece.SentencePieceProcessor(model_file=f"{model}.model")
    pieces = [(processor.id_to_piece(id), processor.get_score(id)) for id in range(3, processor.get_piece_size())]
    for suffix in (".model", ".vocab"):
        model.with_suffix(suffix).unlink()
    vocabulary = [(token, 0.0) for token in SPECIAL] + pieces + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([AddedToken(token, lstrip=token == "<mask>") for token in [*SPECIAL, "<mask>"]])
    tokenizer.add_tokens([AddedToken("ミダシ", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.decoder = decoders.Metaspace()
    save(tokenizer, folder)


def bpe(lines: list[str], folder: pathlib.Path) -> None:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=4000, special_tokens=[*SPECIAL, "<mask>"]))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    save(tokenizer, folder)


def byte_bpe(lines: list[str], folder: pathlib.Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["[PAD]", "[CLS]", "[SEP]"]
    )
    tokenizer.train_from_iterator(lines, trainer)
    # Behind the vocabulary, as in ModernBERT.
    tokenizer.add_special_tokens(["[MASK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    save(tokenizer, folder)


def wordpiece(lines: list[str], folder: pathlib.Path) -> None:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=4000, special_tokens=BERT)
    # Some characters are missing, so that words are unknown.
    tokenizer.train_from_iterator([line for line in lines if "ß" not in line], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    save(tokenizer, folder)


def vocab_txt(lines: list[str], folder: pathlib.Path) -> None:
    wordpiece(lines, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = sorted(content["model"]["vocab"].items(), key=lambda piece: piece[1])
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")


def train_sentencepiece(lines: list[str], model: pathlib.Path, kind: str, byte_fallback: bool) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(model), model_type=kind, vocab_size=2500,
        character_coverage=0.999, byte_fallback=byte_fallback, normalization_rule_name="identity",
        hard_vocab_limit=False, minloglevel=2, user_defined_symbols="" if kind == "bpe" else "顔文字",
    )


def sentencepiece_unigram(lines: list[str], folder: pathlib.Path) -> None:
    train_sentencepiece(lines, folder / "sentencepiece.bpe", "unigram", False)
    (folder / "sentencepiece.bpe.vocab").unlink()
    settings = {"tokenizer_class": "XLMRobertaTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")


def sentencepiece_bpe(lines: list[str], folder: pathlib.Path) -> None:
    train_sentencepiece(lines, folder / "tokenizer", "bpe", True)
    (folder / "tokenizer.vocab").unlink()
    count = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).get_piece_size()
    added = {str(count): {"content": "<cls>", "special": True}}
    settings = {"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": added}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")


FORMS = [unigram, bpe, byte_bpe, wordpiece, vocab_txt, sentencepiece_unigram, sentencepiece_bpe]


def save(tokenizer: Tokenizer, folder: pathlib.Path) -> None:
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def cut(folder: pathlib.Path, lines: list[str]) -> list[list[str]]:
    """The pieces of each line without special tokens, by the program that the folder's files are of."""
    [model] = list(folder.glob("*.model")) or [None]
    if model:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        return [[processor.id_to_piece(id) for id in processor.encode(line)] for line in lines]
    if (folder / "vocab.txt").exists():
        slow = BertTokenizer.from_pretrained(folder)
        return [slow.tokenize(line) for line in lines]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [tokenizer.encode(line, add_special_tokens=False).tokens for line in lines]


def pieces(folder: pathlib.Path) -> list[str]:
    """The vocabulary in the order of its ids."""
    [model] = list(folder.glob("*.model")) or [None]
    if model:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        return [processor.id_to_piece(id) for id in range(processor.get_piece_size())]
    if (folder / "vocab.txt").exists():
        return (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(vocabulary))), "ids have gaps"
    return sorted(vocabulary, key=vocabulary.get)


def write_lines(file: pathlib.Path, lines: list) -> None:
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def read_lines(file: pathlib.Path) -> list:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_fixtures() -> None:
    shutil.rmtree(FIXTURES, ignore_errors=True)
    FIXTURES.mkdir(parents=True)
    japanese = titles()
    corpus = japanese[::12] + foreign(30, 1)
    corpus += ["ミダシ<mask>顔文字", "Größe ß été α波 (´Д`) ☆", "한국의 뉴스와 日本のニュース"]
    held_out = [line for at, line in enumerate(japanese) if at % 12 == 5]
    held_out += ["Hello, world! 123", "“iPhone” 発売…♪〜", "ﾊﾝｶｸ ＡＢＣ ①㈱", "the weather today is nice", "𠮷野家で🎌"]
    trained_on = japanese + foreign(3000, 2) + held_out
    write_lines(FIXTURES / "corpus.jsonl", corpus)
    write_lines(FIXTURES / "held_out.jsonl", held_out)
    for form in FORMS:
        folder = FIXTURES / form.__name__
        folder.mkdir()
        form(trained_on, folder)
        write_lines(folder / "expected.jsonl", cut(folder, corpus + held_out))


def check(folder: pathlib.Path, corpus: list[str], lines: list[str], cache: pathlib.Path) -> bool:
    """Whether the trimmed vocabulary cuts the lines as the whole one, and is a part of it in the same order."""
    with tempfile.TemporaryDirectory() as target:
        subprocess.run(
            [REPOSITORY / "target/release/examples/trim", folder, target, cache],
            input="\n".join(corpus), text=True, check=True,
        )
        target = pathlib.Path(target)
        before, after = cut(folder, lines), cut(target, lines)
        wrong = sum(one != other for one, other in zip(before, after, strict=True))
        all_pieces, kept = pieces(folder), pieces(target)
        of_kept = iter(all_pieces)
        is_part = all(piece in of_kept for piece in kept)
        print(f"{folder.name}: {len(kept)} of {len(all_pieces)} pieces, {wrong} of {len(lines)} texts differ, "
              f"{'same order' if is_part else 'OTHER ORDER'}")
        return wrong == 0 and is_part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs="?", const=FIXTURES, type=pathlib.Path)
    parser.add_argument("--corpus", type=pathlib.Path)
    parser.add_argument("--cache", type=pathlib.Path, default=REPOSITORY / "cache")
    arguments = parser.parse_args()
    if arguments.check is None:
        return write_fixtures()
    if arguments.corpus:
        lines = texts_of(arguments.corpus)["titles"]
        return sys.exit(not check(arguments.check, lines[::5], lines, arguments.cache))
    corpus, held_out = (read_lines(FIXTURES / f"{name}.jsonl") for name in ("corpus", "held_out"))
    results = [check(FIXTURES / form.__name__, corpus, corpus + held_out, arguments.cache) for form in FORMS]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
