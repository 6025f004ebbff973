"""Shortlists of a translator: learned from its attention over a corpus, written to a file and read from it."""

import collections
import json
import pathlib

from keras_attention.decoding.shortlist import SPECIAL_IDS, Shortlist
from keras_attention.tasks.text_to_text import TextToText

_ATTENDED = 2  # tokens of the source that a token of the result is counted for: those that it attended to most


def learn_shortlist(task, sources, targets=None, per_token=50, always=200, batch_size=64):
    """The shortlist of a translator: what each token of a source was attended for.

    Attention says which tokens of a source a token of the result comes from; a
    source's token can lead to those that came from it most often.

    Args:
        task: a `TextToText`.
        sources: list of texts, such as those that it was trained on.
        targets: their translations, whose tokens are counted; None counts those
            of the task's own translations.
        per_token: most target tokens for a source token.
        always: number of target tokens, the most frequent, that may always
            come.
        batch_size: most texts that are translated at once.

    Returns:
        A `Shortlist`.

    Raises:
        ValueError: without a text.
    """
    if not sources:
        raise ValueError("learn_shortlist: expected at least one text, received none.")
    frequent, by_token = collections.Counter(), collections.defaultdict(collections.Counter)
    for conversion in task(list(sources), batch_size=batch_size, prefix=targets):
        if not conversion.source_tokens:
            continue
        frequent.update(conversion.tokens)
        most = conversion.weights.argsort(axis=1)[:, -_ATTENDED:]
        for token, places in zip(conversion.tokens, most, strict=True):
            for place in set(places):
                by_token[conversion.source_tokens[place]][token] += 1
    number = _numbers(task.target_tokenizer)
    sources_number = _numbers(task.source_tokenizer)
    rows = [[] for _ in task.source_tokenizer.vocabulary.tokens]
    for token, counts in by_token.items():
        row = [number[target] for target, _ in counts.most_common(per_token) if number.get(target, 0) >= SPECIAL_IDS]
        if token in sources_number:
            rows[sources_number[token]] = sorted(row)
    some = [number[token] for token, _ in frequent.most_common(always) if number.get(token, 0) >= SPECIAL_IDS]
    return Shortlist(rows, some)


def write_shortlist(shortlist, task, file):
    """Writes a shortlist as JSON: the tokens that always may come, and by token of the source."""
    source, target = (tokenizer.vocabulary for tokenizer in (task.source_tokenizer, task.target_tokenizer))
    content = {
        "source_vocabulary": source.fingerprint,
        "target_vocabulary": target.fingerprint,
        "always": [target.tokens[index] for index in shortlist.always[SPECIAL_IDS:]],
        "by_source": {
            source.tokens[index]: [target.tokens[each] for each in row]
            for index, row in enumerate(shortlist.rows)
            if row
        },
    }
    pathlib.Path(file).write_text(json.dumps(content, ensure_ascii=False, indent=0), encoding="utf-8")


def read_shortlist(file, task):
    """The shortlist that `write_shortlist` wrote.

    Raises:
        ValueError: for a file of something else, or for other vocabularies.
    """
    try:
        content = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        fingerprints = (content["source_vocabulary"], content["target_vocabulary"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is no shortlist. Make one with `keras-attention shortlist`.") from error
    if fingerprints != tuple(
        tokenizer.vocabulary.fingerprint for tokenizer in (task.source_tokenizer, task.target_tokenizer)
    ):
        raise ValueError(f"{file} is a shortlist for other vocabularies than those of the model. Make one of its own.")
    number = _numbers(task.target_tokenizer)
    rows = [
        [number[target] for target in content["by_source"].get(token, ())]
        for token in task.source_tokenizer.vocabulary.tokens
    ]
    return Shortlist(rows, [number[token] for token in content["always"]])


def with_shortlist(task, file):
    """A translator that chooses among the tokens of a file's shortlist.

    Raises:
        ValueError: for a task that is no `TextToText`, or a file that does not
            belong to it.
    """
    if not isinstance(task, TextToText):
        raise ValueError(f"A shortlist is for a translator. Received a {type(task).__name__}: leave it out.")
    return task.with_shortlist(read_shortlist(file, task))


def _numbers(tokenizer):
    return {token: index for index, token in enumerate(tokenizer.vocabulary.tokens)}
