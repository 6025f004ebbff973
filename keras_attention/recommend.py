"""What a recommender gives back, and what every one has in common."""

from typing import NamedTuple

import numpy as np


class Recommendation(NamedTuple):
    """What is recommended after one history.

    Attributes:
        items: list of strings, the best first.
        scores: float32 `(items,)`: of the model, comparable within one history
            alone.
        weights: float32, of which the last axis is the history: how much its
            items were attended to. Of a model that attends for each item anew
            the first axis is that of the items.
    """

    items: list
    scores: np.ndarray
    weights: np.ndarray


def recommendations_from(outputs, histories):
    """The recommendations of a batch, without its padding.

    Args:
        outputs: dict of what the signature returns, as arrays: `items`,
            `scores` and `weights`.
        histories: the lists of items that were asked with.

    Returns:
        A list of `Recommendation`.
    """
    found = []
    for items, scores, weights, own in zip(*(outputs[name] for name in Recommendation._fields), histories, strict=True):
        names = [item.decode("utf-8") for item in items if item]
        found.append(Recommendation(names, scores[: len(names)], weights[..., : len(own)]))
    return found


class Recommends:
    """What every recommender is: callable on histories, over a function on batches.

    Subclasses define `run(**inputs)`, from arrays `(batch, ...)` to a dict of
    `items`, `scores` and `weights`; and `has_users`.
    """

    def __call__(self, history, user=None, batch_size=256):
        """Recommends items for one history, or for several.

        Args:
            history: list of items, the oldest first, which may be empty; for
                several users a list of such lists.
            user: a string, or a list of them, for a recommender that knows
                profiles of users.
            batch_size: most histories that go through the model at once.

        Returns:
            A `Recommendation`, or a list of them. No item of the history is
            among them.

        Raises:
            TypeError: for anything but strings.
            ValueError: for another number of users than of histories, or, of a
                model that is not exported, an unknown user or item.
        """
        history = list(history)
        self._check_is_listed(history)
        is_one = all(isinstance(item, str | bytes) for item in history) and not isinstance(user, list | tuple)
        histories = [history] if is_one else [list(each) for each in history]
        users = None if user is None else [user] if is_one else list(user)
        self._check(histories, users)
        found = []
        for begin in range(0, len(histories), batch_size):
            some = histories[begin : begin + batch_size]
            longest = max(1, *map(len, some))
            inputs = {"history": np.array([[*items, *[""] * (longest - len(items))] for items in some], object)}
            if users is not None:
                inputs["user"] = np.array(users[begin : begin + batch_size], object)
            found += recommendations_from(self.run(**inputs), some)
        return found[0] if is_one else found

    def _check_is_listed(self, history):
        """Raises a TypeError unless there are strings, or lists, in a history."""
        wrong = next((each for each in history if not isinstance(each, str | bytes | list | tuple)), None)
        if wrong is not None:
            raise TypeError(f"{type(self).__name__}: items must be strings. Received {wrong!r:.60}.")

    def _check(self, histories, users):
        owner = type(self).__name__
        for items in histories:
            wrong = next((item for item in items if not isinstance(item, str)), None)
            if wrong is not None:
                raise TypeError(f"{owner}: items must be strings. Received {wrong!r:.60}.")
        if self.has_users != (users is not None):
            raise ValueError(
                f"{owner}: {'give user, whose profile it attends with' if self.has_users else 'it knows no users'}. "
                f"Received user={users!r:.60}."
            )
        if users is not None and len(users) != len(histories):
            raise ValueError(
                f"{owner}: there must be a user for each history. Received {len(histories)} histories and "
                f"{len(users)} users."
            )


def rank_of(score, others):
    """How many of the others come before an item; of those with its score half do, as in an order at random.

    Args:
        score: the model's score of the item; higher is better.
        others: array of the others' scores.

    Example:

    >>> rank_of(0.5, np.array([0.9, 0.5, 0.5, 0.1]))
    2.0
    """
    return float((others > score).sum() + (others == score).sum() / 2)


def ranking_scores(ranks, at=10):
    """How good ranks are.

    Args:
        ranks: numbers `(count,)`: how many items came before the right one.
        at: how many of the first are looked at.

    Returns:
        Dict of `hit_rate` and `ndcg`, the mean of `1 / log2(rank + 2)`, 0 beyond
        the first `at`.

    Example:

    >>> ranking_scores(np.array([0, 30]))
    {'hit_rate': 0.5, 'ndcg': 0.5}
    """
    ranks = np.asarray(ranks)
    hits = ranks < at
    return {"hit_rate": float(hits.mean()), "ndcg": float(np.where(hits, 1 / np.log2(ranks + 2.0), 0).mean())}
