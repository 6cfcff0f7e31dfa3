"""The windows into which transformers cuts long texts, for the tests of `crates/tokenizer`.

    python window_reference.py

Writes `crates/tokenizer/tests/fixtures/unigram/expected_windows.jsonl` from `texts.jsonl` and `pairs.jsonl` beside it. A
line is a text or a pair, the length and the stride of its windows, and the ids of each window: those of
`tokenizer(text, truncation=True, max_length=…, stride=…, return_overflowing_tokens=True)`, and for a pair of
`truncation="only_second"`. Only texts of several windows are written.

Needs Python 3.11 with: transformers 5.23.
"""

import json
import pathlib

from transformers import PreTrainedTokenizerFast

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "crates/tokenizer/tests/fixtures"
# Windows without shared tokens, with some, and with all but one.
TEXTS = [(12, 0), (12, 3), (9, 6)]
PAIRS = [(28, 0), (28, 2)]


def windows(tokenizer, texts: list[str], max_length: int, stride: int) -> list[list[int]]:
    truncation = "only_second" if len(texts) > 1 else True
    return tokenizer(
        *texts, truncation=truncation, max_length=max_length, stride=stride, return_overflowing_tokens=True
    )["input_ids"]


def main() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(FIXTURES / "unigram/tokenizer.json"))
    lines = lambda name: [json.loads(line) for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()]
    singles = [[text] for text in lines("texts.jsonl")[::12]]
    # Single titles are too short for many windows; some texts are made longer.
    singles += [["".join(text for [text] in singles[at : at + 6])] for at in range(0, 18, 6)]
    pairs = [[title, 5 * body] for title, body, _ in lines("pairs.jsonl")]
    cases = [(texts, *setting) for texts in singles for setting in TEXTS]
    cases += [(texts, *setting) for texts in pairs for setting in PAIRS]
    written = 0
    with (FIXTURES / "unigram/expected_windows.jsonl").open("w", encoding="utf-8") as file:
        for texts, max_length, stride in cases:
            room = max_length - len(tokenizer(texts[0], "")["input_ids"]) if len(texts) > 1 else max_length - 2
            if room <= stride or len(tokenizer(*texts)["input_ids"]) <= max_length:
                continue
            case = {
                "texts": texts,
                "max_length": max_length,
                "stride": stride,
                "windows": windows(tokenizer, texts, max_length, stride),
            }
            file.write(json.dumps(case, ensure_ascii=False) + "\n")
            written += 1
    print(f"{written} texts of several windows")


if __name__ == "__main__":
    main()
