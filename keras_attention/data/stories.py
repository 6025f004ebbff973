"""Stories with questions, as the files of bAbI have them, and what a memory network is given of them."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_attention.data.pairs import read_lines
from keras_attention.text.vocabulary import UNKNOWN_ID


class Story(NamedTuple):
    """What happened, and a question about it.

    Attributes:
        sentences: list of strings, the oldest first.
        question: a string.
        answer: a string; several words with commas between them are one.
    """

    sentences: list
    question: str
    answer: str


def read_stories(file: str | os.PathLike, encoding: str = "utf-8") -> list[Story]:
    """Reads stories in the form of the bAbI tasks, plain or gzipped (`.gz`).

    Each line has a number, which is 1 where a story begins, and a sentence; or,
    with tabs between them, a question, its answer, and the numbers of the
    sentences that tell it, which are left out here. A question is asked of the
    sentences before it, not of the questions.

    Args:
        file: path.
        encoding: name of the file's encoding, as Python knows it.

    Returns:
        List of `Story`, one a question.

    Raises:
        FileNotFoundError: if there is no such file.
        LookupError: for an encoding that is not known.
        ValueError: for a line without a number, a question without a sentence
            before it or without an answer, or a file without a question; the
            message names file and line.
    """
    stories, sentences = [], []
    for number, line in enumerate(read_lines(file, strip=False, encoding=encoding), start=1):
        if not line.strip():
            continue
        place, _, text = line.strip(" ").partition(" ")
        if not place.isdecimal() or not text:
            raise ValueError(
                f"read_stories: {file}, line {number}: expected a number and a sentence. Received {line[:60]!r}."
            )
        if int(place) == 1:
            sentences = []
        question, tab, rest = text.partition("\t")
        if not tab:
            sentences = [*sentences, text]
            continue
        answer = rest.partition("\t")[0].strip()
        if not sentences or not answer:
            missing = "an answer behind it" if sentences else "a sentence before it"
            raise ValueError(
                f"read_stories: {file}, line {number}: a question needs {missing}. Received {line[:60]!r}."
            )
        stories.append(Story(sentences, question.strip(), answer))
    if not stories:
        raise ValueError(
            f"read_stories: {file} holds no question: expected a question, a tab and its answer in a line."
        )
    return stories


def hold_out(stories: Sequence[Story], fraction: float, seed: int = 0) -> tuple[list[Story], list[Story]]:
    """Divides questions at random.

    Args:
        stories: list of `Story`.
        fraction: what share of the questions is held out.
        seed: random seed that fixes the choice.

    Returns:
        `(stories, held_out)`, each in its order.

    Raises:
        ValueError: if one of the two would be empty.
    """
    count = round(len(stories) * fraction)
    if not 0 < count < len(stories):
        raise ValueError(
            f"hold_out: a fraction of {fraction} of {len(stories)} questions leaves nothing on one side. Give more "
            "questions, another fraction, or a validation file."
        )
    chosen = set(np.random.default_rng(seed).permutation(len(stories))[:count].tolist())
    return (
        [story for index, story in enumerate(stories) if index not in chosen],
        [story for index, story in enumerate(stories) if index in chosen],
    )


def make_story_arrays(stories, tokenizer, max_sentences=50):
    """What `fit` of a `MemoryNetwork` takes.

    Args:
        stories: list of `Story`.
        tokenizer: makes ids of words; its vocabulary has the answers.
        max_sentences: the latest sentences of a story that are kept.

    Returns:
        `({"story": ..., "question": ...}, labels)`: int32
        `(stories, sentences, words)`, `(stories, words)` and `(stories,)`,
        padded with 0.

    Raises:
        ValueError: without a story, for one without a sentence, or an answer
            that the vocabulary does not have.

    Example:

    >>> story = Story(["Mary moved to the bathroom."], "Where is Mary?", "bathroom")
    >>> tokenizer = WordTokenizer.train([*story.sentences, story.question], whole=[story.answer])
    >>> inputs, labels = make_story_arrays([story], tokenizer)
    >>> inputs["story"].shape, inputs["question"].shape, labels.shape
    ((1, 1, 5), (1, 3), (1,))
    """
    stories = list(stories)
    if not stories:
        raise ValueError("make_story_arrays: expected at least one story, received none.")
    for story in stories:
        if not story.sentences:
            raise ValueError(f"make_story_arrays: a story needs a sentence. Received none before {story.question!r}.")
    labels = tokenizer.vocabulary.ids(tf.constant([story.answer.lower() for story in stories])).numpy()
    if (labels == UNKNOWN_ID).any():
        unknown = sorted({story.answer for story, label in zip(stories, labels, strict=True) if label == UNKNOWN_ID})
        raise ValueError(
            f"make_story_arrays: every answer must be in the vocabulary. Received {unknown[:5]}, which training never "
            "saw."
        )
    kept = [story.sentences[-max_sentences:] for story in stories]
    ids = tokenizer.encode(tf.constant([sentence for sentences in kept for sentence in sentences])).to_tensor().numpy()
    ends = np.cumsum([len(sentences) for sentences in kept])
    array = np.zeros((len(stories), max(map(len, kept)), ids.shape[1]), "int32")
    for row, (end, sentences) in enumerate(zip(ends, kept, strict=True)):
        array[row, : len(sentences)] = ids[end - len(sentences) : end]
    question = tokenizer.encode(tf.constant([story.question for story in stories])).to_tensor().numpy()
    return {"story": array, "question": question}, labels.astype("int32")
