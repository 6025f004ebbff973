"""The end-to-end memory network: a question that reads a story several times."""

import keras
from keras import ops

from keras_attention.layers.attention import Attention
from keras_attention.layers.checked_inputs import ChecksInputs
from keras_attention.layers.masks import counted_from_here
from keras_attention.layers.sizes import size_of

TYINGS = ("adjacent", "layerwise")


@keras.saving.register_keras_serializable(package="keras_attention")
class MemoryNetwork(ChecksInputs, keras.Model):
    """Answers a question about a story by attending to its sentences, several times.

    Each sentence becomes a key and a value, `m = sum(l * A x) + T_A` and
    `c = sum(l * C x) + T_C`, of its words and its age, and the question a query
    `u = sum(l * B q)`. A hop reads the memory of keys and values with dot
    product attention and adds what it read, `u <- u + o`; after the last one
    the answer is `softmax(W u)`.

    Args:
        vocabulary_size: ids of the words, those of answers among them; 0 is
            padding, 1 unknown: neither says anything.
        units: width of the embeddings, `d`.
        hops: how often the story is read.
        tying: `"adjacent"`: the keys of a hop are embedded as the values of the
            one before, the question as the first keys, and the answers as the
            last values. `"layerwise"`: all hops embed alike, and `u` goes
            through a linear map, `u <- H u + o`.
        max_sentences: places of the memory: the latest sentences that are read;
            older ones are not.
        empty_places: whether a hop may attend to the places that no sentence
            fills, whose keys and values are zero, and so read nothing; the
            weights of the sentences sum to less than 1 then. As in the paper,
            where stories are padded to one length.
        max_words: the most words of a sentence, so that a position weighs alike
            in all of them, as in the authors' code; None takes the words of
            each sentence, as in the paper.
        positions: whether words are weighed by their position in the sentence,
            `l_kj = 1 + (2k - d - 1)(2j - J - 1) / (d J)` for word j of J, about
            twice the paper's `(1 - j/J) - (k/d)(1 - 2j/J)`, as in the authors'
            code; or alike, as a bag of words.
        times: whether the age of a sentence counts, `T`: the last of its J
            words, weighed like one, as in the authors' code.
        time_noise: in training, how many empty memories there are for each
            sentence, at random, so that ages are not learned by heart.
        activation: activation of the query after each hop, such as `"relu"`; None in the
            paper.

    Call args:
        inputs: dict of `story`, integers `(batch, sentences, words)`, the
            oldest sentence first, and `question`, `(batch, words)`; padding is
            0, and a sentence of padding alone is none. Padding may stand
            anywhere.
        training: whether there is noise in the times.

    Returns:
        Logits over the vocabulary, `(batch, vocabulary_size)`.

    Raises:
        ValueError: for less than one hop, or an unknown tying.

    `attend(inputs)` also gives what each hop attended to. Set `linear` for a
    linear start: the weights are the scores then, without the softmax.

    Example:

    >>> model = MemoryNetwork(vocabulary_size=9, units=4, hops=2)
    >>> logits, weights = model.attend({"story": np.array([[[4, 5], [6, 0], [0, 0]]]), "question": np.array([[7, 8]])})
    >>> logits.shape, weights.shape
    (TensorShape([1, 9]), TensorShape([1, 2, 3]))

    Reference: Sukhbaatar et al. 2015, "End-To-End Memory Networks", 2 and 4.1.
    """

    def __init__(
        self,
        vocabulary_size,
        units=20,
        hops=3,
        tying="adjacent",
        max_sentences=50,
        empty_places=True,
        max_words=None,
        positions=True,
        times=True,
        time_noise=0.1,
        activation=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if hops < 1:
            raise ValueError(f"MemoryNetwork: hops must be at least 1. Received {hops}.")
        if tying not in TYINGS:
            raise ValueError(f"MemoryNetwork: tying must be one of {', '.join(map(repr, TYINGS))}. Received {tying!r}.")
        self.arguments = {
            "vocabulary_size": vocabulary_size,
            "units": units,
            "hops": hops,
            "tying": tying,
            "max_sentences": max_sentences,
            "empty_places": empty_places,
            "max_words": max_words,
            "positions": positions,
            "times": times,
            "time_noise": time_noise,
            "activation": activation,
            "seed": seed,
        }
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.hops = hops
        self.tying = tying
        self.max_sentences = max_sentences
        self.empty_places = empty_places
        self.max_words = max_words
        self.positions = positions
        self.times = times
        self.time_noise = time_noise
        self.activation = keras.activations.get(activation)
        self.attention = Attention("dot", dtype=self.dtype_policy, name="attention")
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.build({"story": (None, None, None), "question": (None, None)})  # ids have but one shape

    @property
    def linear(self):
        """Whether the weights are the scores, without the softmax. Compile the model again after a change."""
        return self.attention.linear

    @linear.setter
    def linear(self, value):
        self.attention.linear = value

    def build(self, input_shape):
        """Creates all weights."""
        if self.built:
            return

        def embedding(name, size=self.vocabulary_size):
            initializer = keras.initializers.RandomNormal(stddev=0.1)
            return self.add_weight(shape=(size, self.units), initializer=initializer, name=name)

        sides = self.hops + 1 if self.tying == "adjacent" else 2  # adjacent ones serve as values, then as keys
        self.embeddings = [embedding(f"embedding_{side}") for side in range(sides)]
        self.ages = [embedding(f"age_{side}", self.max_sentences) for side in range(sides)] if self.times else []
        if self.tying == "layerwise":
            self.of_question, self.of_answer = embedding("question"), embedding("answer")
            self.between = self.add_weight(shape=(self.units, self.units), initializer="orthogonal", name="between")
        else:
            self.of_question, self.of_answer, self.between = self.embeddings[0], self.embeddings[-1], None
        self.attention.build((None, 1, self.units), (None, None, self.units))
        self.built = True

    def call(self, inputs, training=False):
        return self.attend(inputs, training)[0]

    def attend(self, inputs, training=False):
        """`(logits, weights)`; the weights are `(batch, hops, sentences)`."""
        story, question = ops.cast(inputs["story"], "int32"), ops.cast(inputs["question"], "int32")
        there = ops.any(ops.not_equal(story, 0), axis=-1)
        later = self._later(there, training)
        mask, age = ops.logical_and(there, later < self.max_sentences), ops.minimum(later, self.max_sentences - 1)
        sides = [
            self._sum_of_words(embedding, story, self.ages[side] if self.times else None, age)
            for side, embedding in enumerate(self.embeddings)
        ]
        if self.empty_places:
            sides, mask = self._with_empty_places(sides, mask)
        query, weights = self._sum_of_words(self.of_question, question), []
        for hop in range(self.hops):
            key, value = sides[hop : hop + 2] if self.tying == "adjacent" else sides
            memory = self.attention.prepare(value, key, mask)
            context, of_hop, _ = self.attention.read(query[:, None], memory)
            kept = query if self.between is None else ops.matmul(query, ops.cast(self.between, query.dtype))
            query = self.activation(kept + context[:, 0])
            weights.append(of_hop)
        logits = ops.matmul(query, ops.transpose(ops.cast(self.of_answer, query.dtype)))
        return logits, ops.concatenate(weights, axis=1)[..., : size_of(story, 1)]

    def _with_empty_places(self, sides, mask):
        """The memory with a place of zeros, which may be read, for each that the sentences leave."""
        left = self.max_sentences - ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
        mask = ops.concatenate([mask, ops.arange(self.max_sentences) < left], axis=1)
        return [ops.pad(side, ((0, 0), (0, self.max_sentences), (0, 0))) for side in sides], mask

    def _later(self, there, training):
        """How many memories are later than each, `(batch, sentences)`, with the empty ones of the noise."""
        counted = ops.cast(there, "int32")
        if training and self.time_noise:
            draws = keras.random.uniform(ops.shape(there), seed=self.seed_generator)
            counted = counted + ops.cast(ops.logical_and(there, draws < self.time_noise), "int32")
        return counted_from_here(counted) - ops.cast(there, "int32")

    def _rows(self, embedding, ids):
        # The product makes the gradient a whole matrix: of rows, of which one may stand there many times, an optimizer
        # would clip the norm of the list and not of their sum.
        return ops.cast(ops.take(embedding * 1.0, ids, axis=0), self.compute_dtype)

    def _sum_of_words(self, embedding, ids, ages=None, age=None):
        """Embeddings of words, and of the age as their last, weighed and summed: `(..., words)` to `(..., units)`."""
        is_word = ops.not_equal(ids, 0)
        place = ops.cumsum(ops.cast(is_word, "float32"), axis=-1)
        count = float(self.max_words) if self.max_words else ops.maximum(place[..., -1:], 1.0)
        count = count + self.times
        says = ops.cast(ids > 1, self.compute_dtype)[..., None]  # neither padding nor unknown
        total = ops.sum(self._rows(embedding, ids) * says * self._weights_of(place, count), axis=-2)
        if ages is not None:
            last = ops.broadcast_to(count, ops.shape(place[..., :1]))
            total = total + self._rows(ages, age) * self._weights_of(last, count)[..., 0, :]
        return total

    def _weights_of(self, place, count):
        """`1 + (2k/d - 1 - 1/d) (2j/J - 1 - 1/J)`, `(..., words, units)`, for words at places j of J."""
        if not self.positions:
            return ops.ones((1, 1), self.compute_dtype)
        unit = (2.0 * ops.arange(1, self.units + 1, dtype="float32") - self.units - 1.0) / self.units
        weights = 1.0 + unit * ((2.0 * place - count - 1.0) / count)[..., None]
        return ops.cast(weights, self.compute_dtype)

    def get_config(self):
        return super().get_config() | self.arguments
