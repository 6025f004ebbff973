"""BLEU and chrF of translations, by sacrebleu, with the signatures that make a figure comparable."""

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


def corpus_scores(hypotheses, references, tokenized=False, lowercase=False):
    """BLEU and chrF of a corpus.

    Args:
        hypotheses: list of strings.
        references: list of as many strings.
        tokenized: whether both are tokenised as they should be, so that words
            are what stands between spaces: `sacrebleu --tokenize none --force`.
            Otherwise sacrebleu's own tokenisation, 13a, is used, for ordinary
            text.
        lowercase: whether to compare in lower case.

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
            "pip install 'keras-attention-layers[translation]'."
        ) from error
    bleu = BLEU(tokenize="none" if tokenized else "13a", force=tokenized, lowercase=lowercase)
    scores = []
    for metric in (bleu, CHRF(lowercase=lowercase)):
        score = metric.corpus_score(list(hypotheses), [list(references)])
        scores.append(Score(score.name, score.score, str(score), str(metric.get_signature())))
    return scores
