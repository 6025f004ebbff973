"""BLEU and chrF of translations, by sacrebleu, with the signatures that make a figure comparable."""

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple


class Score(NamedTuple):
    """One figure.

    Attributes:
        name: BLEU or chrF2.
        value: from 0 to 100.
        text: the whole line, parts included.
        signature: how it was computed.
    """

    name: str
    value: float
    text: str
    signature: str


# Scripts that are written without spaces between words: a range of code points, and what sacrebleu has for them.
_WITHOUT_SPACES = {
    "Japanese": ("\u3040", "\u30ff", "ja-mecab"),
    "Chinese": ("\u4e00", "\u9fff", "zh"),
    "Thai": ("\u0e00", "\u0e7f", "char"),
    "Lao": ("\u0e80", "\u0eff", "char"),
    "Burmese": ("\u1000", "\u109f", "char"),
    "Khmer": ("\u1780", "\u17ff", "char"),
}


def tokenization_of(references: Sequence[str]) -> tuple[str, str]:
    """Which of sacrebleu's tokenisations suits the script of the references.

    Args:
        references: list of strings.

    Returns:
        `(name, why)`: `"13a"` and an empty string where words have spaces
        between them; else another, and a sentence that says why.

    Example:

    >>> tokenization_of(["我喜欢猫。"])[0], tokenization_of(["I like cats."])[0]
    ('zh', '13a')
    """
    letters = [character for text in references for character in text if character.isalpha()]
    for script, (first, last, name) in _WITHOUT_SPACES.items():
        share = 0.1 if script == "Japanese" else 0.3  # Japanese has Chinese characters, too
        if sum(first <= letter <= last for letter in letters) <= share * len(letters):
            continue
        if name == "ja-mecab" and importlib.util.find_spec("MeCab") is None:
            return "char", (
                "the references are Japanese, and BLEU takes each character for a word (char), since the package that "
                "finds the words is missing: pip install 'sacrebleu[ja]'"
            )
        of = "takes each character for a word (char)" if name == "char" else f"takes words as {name} finds them"
        return name, f"the references are {script}, without spaces between words: BLEU {of}"
    return "13a", ""


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    tokenized: bool = False,
    lowercase: bool = False,
    tokenize: str | None = None,
) -> list[Score]:
    """BLEU and chrF of a corpus.

    Args:
        hypotheses: list of strings.
        references: list of as many strings.
        tokenized: whether both are tokenised as they should be, so that words
            are what stands between spaces: `sacrebleu --tokenize none --force`.
        lowercase: whether to compare in lower case.
        tokenize: sacrebleu's name of how BLEU finds words in ordinary text.
            Defaults to what suits the script, see `tokenization_of`: 13a where
            words have spaces between them.

    Returns:
        List of two `Score`s.

    Raises:
        ImportError: without the sacrebleu package.
        ValueError: for lists of different lengths, or empty ones.

    Example:

    >>> bleu, chrf = corpus_scores(["the cat sat on the mat"], ["the cat sat on the mat"], tokenized=True)
    >>> round(bleu.value), "tok:none" in bleu.signature
    (100, True)

    Reference: Papineni et al. 2002; Popovic 2015; Post 2018, "A Call for
        Clarity in Reporting BLEU Scores".
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            "corpus_scores: there must be as many hypotheses as references, and at least one. Received "
            f"{len(hypotheses):,} and {len(references):,}."
        )
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError as error:
        raise ImportError(
            "corpus_scores: BLEU and chrF need the sacrebleu package: "
            "`pip install '.[translation]'` in a clone of the repository."
        ) from error
    tokenize = "none" if tokenized else tokenize or tokenization_of(references)[0]
    bleu = BLEU(tokenize=tokenize, force=tokenized, lowercase=lowercase)
    scores = []
    for metric in (bleu, CHRF(lowercase=lowercase)):
        score = metric.corpus_score(list(hypotheses), [list(references)])
        scores.append(Score(score.name, score.score, str(score), str(metric.get_signature())))
    return scores
