"""From the items that a user chose to those that come next."""

import functools

import numpy as np
import tensorflow as tf

from keras_attention.export.saved_recommender import SavedRecommender
from keras_attention.recommend import Recommends, rank_of, ranking_scores
from keras_attention.tasks.task import Task
from keras_attention.text.vocabulary import Vocabulary

_FILES = {"items": "items.txt", "users": "users.txt"}


class Recommender(Recommends, Task):
    """Recommends items after a history, none of them twice, with a `RecommendationModel`.

    Args:
        model: the model.
        items: a `Vocabulary` of the names of all items.
        users: one of the names of users, for a model that knows them.
        best: how many items are recommended.

    Call args and Returns: see `Recommends`. A history without an item is a cold
        start: what is chosen most is recommended then. In Python an unknown item
        or user is an error; an export leaves an unknown item out, and takes the
        mean profile for an unknown user.

    Raises:
        ValueError: if vocabulary and model differ in size.

    Example, with a model that is not trained yet:

    >>> recommender = Recommender(SASRec(8, units=4), Vocabulary(["tea", "coffee", "milk", "sugar"]), best=2)
    >>> recommendation = recommender(["tea", "milk"])
    >>> sorted(recommendation.items), recommendation.weights.shape
    (['coffee', 'sugar'], (2, 1, 2))
    """

    saved_class = SavedRecommender

    def __init__(self, model, items, users=None, best=10):
        self._check_size("items", model.vocabulary_size, items)
        if model.has_users:
            if users is None:
                raise ValueError(f"Recommender: a {type(model).__name__} needs users, a Vocabulary. Received none.")
            self._check_size("users", model.users[0], users)
        if best < 1:
            raise ValueError(f"Recommender: best must be at least 1. Received {best}.")
        super().__init__(model)
        self.items = items
        self.users = users if model.has_users else None
        self.best = best

    @staticmethod
    def _check_size(name, size, vocabulary):
        if len(vocabulary) != size:
            raise ValueError(
                f"Recommender: the model has {size} ids of {name}, and their vocabulary {len(vocabulary)}. Make the "
                "model for the vocabulary."
            )

    @property
    def has_users(self):
        """Whether it attends with the profile of a user."""
        return self.users is not None

    @property
    def input_specs(self):
        specs = {"history": tf.TensorSpec([None, None], tf.string)}
        return specs | ({"user": tf.TensorSpec([None], tf.string)} if self.has_users else {})

    def compute(self, history, user=None):
        """The whole line, in graph.

        Args:
            history: names of items, `(batch, length)`; an empty one is none.
            user: names, `(batch,)`.

        Returns:
            Dict of `items` `(batch, best)`, empty where there are no more,
            `scores` `(batch, best)`, and `weights` `(batch, ..., length)`.
        """
        ids = self.items.ids(history)
        inputs = {"history": ids} | ({} if user is None else {"user": self.users.ids(user)})
        scores, weights = self._attend(inputs)
        scores = _without_seen(scores, ids)
        count = min(self.best, self.model.vocabulary_size)
        best, at = tf.math.top_k(scores, count)
        if self.model.weights_by_item:
            weights = tf.gather(weights, at, batch_dims=1)
        names = tf.where(best > -np.inf, self.items.tokens_of(at), "")
        axes = [None, *([count] if self.model.weights_by_item else weights.shape[1:-1]), None]
        return {"items": names, "scores": best, "weights": tf.ensure_shape(tf.cast(weights, tf.float32), axes)}

    def _attend(self, inputs):
        """The model's scores and weights; of a cold start the scores are the popularity. What is no item is barred."""
        scores, weights = self.model.attend(inputs)
        known = tf.reduce_any(inputs["history"] > 3, axis=1, keepdims=True)
        scores = tf.where(known, scores, tf.cast(self.model.popularity, tf.float32))
        return tf.where(tf.range(tf.shape(scores)[1]) < 4, -np.inf, scores), weights

    def evaluate(self, held_out, sampled=None, at=10, seed=0, batch_size=256):
        """How high the items that came next are ranked.

        Args:
            held_out: list of `HeldOut`.
            sampled: None ranks each among all items that are not in its
                history, the full ranking; a number among so many others, drawn
                of those that its user is not known to have chosen, as many
                papers have it, SASRec's with 100. Figures of the two cannot be
                compared. Of items with one score half come first.
            at: how many of the first are looked at.
            seed: random seed of the draw.
            batch_size: as in a call.

        Returns:
            Dict of `hit_rate` and `ndcg`; see `ranking_scores`.

        Raises:
            ValueError: without anything held out, or for an unknown user or
                item.
        """
        held_out = list(held_out)
        if not held_out:
            raise ValueError("Recommender.evaluate: expected at least one item that was held out, received none.")
        users = [each.user for each in held_out] if self.has_users else None
        self._check([[*each.history, each.item] for each in held_out], users)
        generator, ranks = np.random.default_rng(seed), []
        for begin in range(0, len(held_out), batch_size):
            some = held_out[begin : begin + batch_size]
            scores = self._scores([each.history for each in some], [each.user for each in some])
            for row, each in zip(scores, some, strict=True):
                right = self._number[each.item]
                if sampled is None:
                    others = np.delete(row, [right, *(self._number[item] for item in each.history)])
                else:
                    others = row[self._others(generator, each, right, sampled)]
                ranks.append(rank_of(row[right], others))
        return ranking_scores(ranks, at)

    def _scores(self, histories, users):
        """Scores of all ids: `(count, vocabulary_size)`."""
        ids = np.zeros((len(histories), max(1, *map(len, histories))), "int32")
        for row, history in enumerate(histories):
            ids[row, : len(history)] = [self._number[item] for item in history]
        inputs = {"history": tf.constant(ids)}
        if self.has_users:
            inputs["user"] = self.users.ids(tf.constant(users))
        return self._scoring(inputs).numpy()

    @functools.cached_property
    def _scoring(self):
        specs = {name: tf.TensorSpec(spec.shape, tf.int32) for name, spec in self.input_specs.items()}
        return tf.function(lambda inputs: self._attend(inputs)[0], input_signature=[specs], autograph=False)

    def _others(self, generator, held, right, count):
        """Ids of other items, none twice, that the user is not known to have chosen."""
        seen = {self._number[item] for item in held.seen} | {right}
        if self.model.vocabulary_size - 4 - len(seen) < count:
            raise ValueError(
                f"Recommender.evaluate: {self.model.vocabulary_size - 4} items leave fewer than {count} that user "
                f"{held.user!r} did not choose. Sample fewer, or sampled=None."
            )
        drawn = {}
        while len(drawn) < count:
            for id in generator.integers(4, self.model.vocabulary_size, count).tolist():
                if id not in seen and len(drawn) < count:
                    drawn[id] = True
        return list(drawn)

    @functools.cached_property
    def _number(self):
        """Ids by name."""
        return {name: id for id, name in enumerate(self.items.tokens)}

    def _check(self, histories, users):
        super()._check(histories, users)
        names = [("item", {item for items in histories for item in items if item}, self.items)]
        names += [("user", set(users or ()), self.users)] if self.has_users else []
        for kind, given, vocabulary in names:
            unknown = sorted(given - set(vocabulary.tokens[4:]))
            if unknown:
                raise ValueError(
                    f"{type(self).__name__}: there is no {kind} {', '.join(map(repr, unknown[:5]))} among the "
                    f"{len(vocabulary) - 4:,} that it was trained with. Leave out what is not known: a history may be "
                    "empty."
                )

    @property
    def settings(self):
        return {"best": self.best}

    def save_files(self, folder):
        for name, file in _FILES.items():
            if getattr(self, name) is not None:
                getattr(self, name).save(folder / file)

    @classmethod
    def load_files(cls, folder, settings):
        files = {name: folder / file for name, file in _FILES.items() if (folder / file).is_file()}
        return settings | {name: Vocabulary.load(file) for name, file in files.items()}

    @property
    def _vocabularies(self):
        return [vocabulary for vocabulary in (self.items, self.users) if vocabulary is not None]

    @property
    def tables(self):
        return [vocabulary.resource for vocabulary in self._vocabularies]

    @property
    def files(self):
        return [vocabulary.file for vocabulary in self._vocabularies if vocabulary.file is not None]

    def for_export(self, folder):
        """The same with vocabularies that are read from files in `folder`."""
        self.save_files(folder)
        return type(self)(self.model, **self.load_files(folder, self.settings))

    def checks(self, examples=()):
        """Histories of several lengths together, an empty one, and unknown items; and the examples."""
        names = self.items.tokens[4:]

        def request(*histories):
            longest = max(1, *map(len, histories))
            rows = np.array([[*items, *[""] * (longest - len(items))] for items in histories], object)
            users = [self.users.tokens[4], *["someone"] * (len(histories) - 1)] if self.has_users else None
            return {"history": rows} | ({} if users is None else {"user": np.array(users, object)})

        long = [names[index % len(names)] for index in range(self.model.max_length + 3)]
        return [request(list(names[:3])), request([], list(names[:1]), ["한", names[0]]), request(long, []), *examples]


def _without_seen(scores, ids):
    """The scores of a history's own items barred."""
    rows = tf.broadcast_to(tf.range(tf.shape(ids)[0])[:, None], tf.shape(ids))
    seen = tf.scatter_nd(tf.stack([rows, ids], axis=-1), tf.ones_like(ids), tf.shape(scores)) > 0
    return tf.where(seen, -np.inf, scores)
