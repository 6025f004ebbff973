"""Models that say what comes after a history of items: by self-attention, by profiles, by target attention."""

import keras
from keras import ops

from keras_attention.layers.attention import Attention
from keras_attention.layers.interaction_score import InteractionScore
from keras_attention.layers.layer import Dropout
from keras_attention.layers.masks import cleaned, counted_from_here
from keras_attention.layers.normalization import LayerNormalization
from keras_attention.layers.scores import ReducedRankScore
from keras_attention.layers.sizes import size_of
from keras_attention.layers.transformer import EncoderBlock
from keras_attention.models.recommendation_model import ByProduct, RecommendationModel


@keras.saving.register_keras_serializable(package="keras_attention")
class SASRec(ByProduct):
    """Self-attentive sequential recommendation: a causal Transformer over the items of a history.

    `h = blocks(sqrt(units) E[history] + positions)`, and the score of an item
    after the history is `E[item] . h` of its last position. Positions count from
    the last item, as those of a history that is padded in front: an item in the
    middle of a history is learned with another position than it would be asked
    with. The blocks norm before each sublayer.

    Args:
        vocabulary_size, units, max_length: see `RecommendationModel`.
        layers: number of blocks.
        num_heads: attention heads of a block.
        dropout: fraction dropped of the embeddings, of each sublayer's output,
            of the attention and of the hidden layer.

    Call args and Returns: see `RecommendationModel`. The weights are those of
        the last item, `(batch, layers, heads, history)`.

    Example:

    >>> model = SASRec(vocabulary_size=9, units=4, max_length=5)
    >>> scores, weights = model.attend({"history": np.array([[5, 6, 0]])})
    >>> scores.shape, weights.shape
    (TensorShape([1, 9]), TensorShape([1, 2, 1, 3]))

    Reference: Kang and McAuley 2018, "Self-Attentive Sequential Recommendation".
    """

    # As small as the authors' code has it: an item that few chose has a score of almost nothing, not one by chance.
    items_stddev = 0.01

    def __init__(
        self, vocabulary_size, units=50, max_length=50, layers=2, num_heads=1, dropout=0.5, seed=None, **kwargs
    ):
        super().__init__(vocabulary_size, units, max_length, **kwargs)
        self.layers_count = layers
        self.num_heads = num_heads
        self.dropout = dropout
        self.seed = seed
        arguments = {"dtype": self.dtype_policy}
        self.embedding_dropout = Dropout(dropout, seed=seed, **arguments)
        self.blocks = [
            EncoderBlock(
                num_heads,
                units,
                dropout=dropout,
                attention_dropout=dropout,
                activation_dropout=dropout,
                seed=None if seed is None else seed + index,
                name=f"block_{index}",
                **arguments,
            )
            for index in range(layers)
        ]
        self.final_norm = LayerNormalization(epsilon=1e-6, **arguments)
        self.build()

    def _build_parts(self):
        super()._build_parts()
        self.positions = self._embedding("positions", self.max_length, self.units)
        for part in (*self.blocks, self.final_norm):
            part.build((None, None, self.units))

    def _vectors(self, inputs, training):
        history, mask = self._kept(inputs["history"])
        place = ops.maximum(counted_from_here(mask) - 1, 0)
        outputs = self._rows(self.items, history) * self.units**0.5 + self._rows(self.positions, place)
        outputs = self.embedding_dropout(cleaned(outputs, mask), training=training)
        weights = []
        for block in self.blocks:
            outputs, of_block = block(
                outputs, mask=mask, use_causal_mask=True, training=training, return_attention_scores=True
            )
            weights.append(of_block)
        return self.final_norm(outputs), ops.stack(weights, axis=1), mask

    def get_config(self):
        own = {"layers": self.layers_count, "num_heads": self.num_heads, "dropout": self.dropout, "seed": self.seed}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="keras_attention")
class ProfileRecommender(ByProduct):
    """A user's profile asks the profiles of the items of a history, and reads their embeddings.

    `context = softmax((U p_u) . (V P)) E[history]`: query, keys and values are
    three things of three widths, a user's profile, items' profiles and items'
    embeddings. What is known of the user then is `tanh(W context)`, and the
    score of an item its product with the item's embedding.

    Args:
        vocabulary_size, units, max_length: see `RecommendationModel`.
        users: `(count, width)` of the profiles of users, of which the first four
            rows are no users; that of id 1 stands for an unknown one.
        item_profile_dim: width of the profiles of items.
        rank: width in which they are compared.
        profiles: with False there are no profiles: the items of the history
            have one weight.
        dropout: fraction of the embeddings dropped, in training.

    `set_profiles(users, items)` gives it the profiles, which are not trained.

    Call args and Returns: see `RecommendationModel`. The weights are
        `(batch, history)`.

    Example:

    >>> model = ProfileRecommender(vocabulary_size=9, units=4, users=(6, 3), item_profile_dim=2)
    >>> model.set_profiles(np.ones((6, 3)), np.ones((9, 2)))
    >>> scores, weights = model.attend({"history": np.array([[5, 6, 0]]), "user": np.array([4])})
    >>> scores.shape, weights.shape
    (TensorShape([1, 9]), TensorShape([1, 3]))
    """

    has_users = True

    def __init__(
        self,
        vocabulary_size,
        units=64,
        max_length=200,
        users=(5, 1),
        item_profile_dim=1,
        rank=16,
        profiles=True,
        dropout=0.3,
        seed=None,
        **kwargs,
    ):
        super().__init__(vocabulary_size, units, max_length, **kwargs)
        self.users = tuple(users)
        self.item_profile_dim = item_profile_dim
        self.rank = rank
        self.profiles = profiles
        self.dropout = dropout
        self.seed = seed
        # It begins with weights that are nearly alike, so that profiles have to earn their differences.
        score = ReducedRankScore(rank, initializer=keras.initializers.RandomNormal(stddev=0.05))
        self.attention = Attention(score, dtype=self.dtype_policy, name="attention")
        self.projection = keras.layers.Dense(units, activation="tanh", dtype=self.dtype_policy, name="projection")
        self.drop = Dropout(dropout, seed=seed, dtype=self.dtype_policy)
        self.build()

    def _build_parts(self):
        super()._build_parts()
        self.user_profiles = self._embedding("user_profiles", *self.users, trainable=False)
        self.item_profiles = self._embedding(
            "item_profiles", self.vocabulary_size, self.item_profile_dim, trainable=False
        )
        widths = (self.users[1], self.units, self.item_profile_dim)
        self.attention.build(*((None, None, width) for width in widths))
        self.projection.build((None, None, self.units))

    def set_profiles(self, users, items):
        """Gives the model the profiles of users, `(count, width)`, and of items, `(vocabulary_size, width)`."""
        self.user_profiles.assign(users)
        self.item_profiles.assign(items)

    def _vectors(self, inputs, training):
        history, mask = self._kept(inputs["history"])
        value = self.drop(self._rows(self.items, history), training=training)
        key = self._rows(self.item_profiles, history) * float(self.profiles)
        batch, length = ops.shape(history)
        profile = self._rows(self.user_profiles, ops.cast(inputs["user"], "int32"))
        query = ops.broadcast_to(profile[:, None], (batch, length, self.users[1]))
        context, weights = self.attention(query, value, key, value_mask=mask, use_causal_mask=True, training=training)
        return self.projection(context), weights, mask

    def get_config(self):
        return super().get_config() | {
            "users": self.users,
            "item_profile_dim": self.item_profile_dim,
            "rank": self.rank,
            "profiles": self.profiles,
            "dropout": self.dropout,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class DeepInterestNetwork(RecommendationModel):
    """Each item that may come asks the history: target attention.

    The interest in an item is the sum of the history's embeddings, weighted by
    an `InteractionScore` of the item and each of them; a network of item,
    interest and their product gives the score. A user thus has another vector
    for each item, and all items cost as many passes over the history.

    Args:
        vocabulary_size, units, max_length: see `RecommendationModel`.
        attention_units: widths of the score's hidden layers.
        hidden_units: widths of the network's.
        dropout: fraction of the embeddings dropped, in training.

    Call args and Returns: see `RecommendationModel`; it predicts the item after
        the last. The weights are by item, `(batch, vocabulary_size, history)`.

    Example:

    >>> model = DeepInterestNetwork(vocabulary_size=9, units=4)
    >>> scores, weights = model.attend({"history": np.array([[5, 6, 0]])})
    >>> scores.shape, weights.shape
    (TensorShape([1, 9]), TensorShape([1, 9, 3]))

    Reference: Zhou et al. 2018, "Deep Interest Network for Click-Through Rate
        Prediction"; the weights are normalised, as in the authors' code.
    """

    every_position = False
    weights_by_item = True

    def __init__(
        self,
        vocabulary_size,
        units=32,
        max_length=50,
        attention_units=(80, 40),
        hidden_units=(80, 40),
        dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(vocabulary_size, units, max_length, **kwargs)
        self.attention_units = tuple(attention_units)
        self.hidden_units = tuple(hidden_units)
        self.dropout = dropout
        self.seed = seed
        arguments = {"dtype": self.dtype_policy}
        # All items ask at once: a few at a time, in memory that does not grow with them.
        score = InteractionScore(self.attention_units)
        self.attention = Attention(score, blockwise=True, name="attention", **arguments)
        self.hidden = [
            keras.layers.Dense(width, activation="relu", name=f"hidden_{index}", **arguments)
            for index, width in enumerate(self.hidden_units)
        ]
        self.output_layer = keras.layers.Dense(1, use_bias=False, name="output", **arguments)
        self.drop = Dropout(dropout, seed=seed, **arguments)
        self.build()

    def _build_parts(self):
        self.bias = self.add_weight(shape=(self.vocabulary_size,), initializer="zeros", name="bias")
        shape = (None, None, self.units)
        self.attention.build(shape, shape)
        width = 3 * self.units
        for layer in (*self.hidden, self.output_layer):
            layer.build((None, None, width))
            width = layer.units

    def attend(self, inputs, training=False):
        return self._compared(inputs, ops.arange(self.vocabulary_size)[None], training)

    def _of_candidates(self, inputs, following, negatives, training):
        batch = size_of(following, 0)
        negatives = ops.broadcast_to(ops.cast(negatives, "int32")[None], (batch, size_of(negatives, 0)))
        return self._compared(inputs, ops.concatenate([following, negatives], axis=1), training)[0][:, None]

    def _compared(self, inputs, candidates, training):
        """Scores of candidates, `(batch or 1, count)`, and their weights."""
        history, mask = self._kept(inputs["history"])
        value = self.drop(self._rows(self.items, history), training=training)
        asked = self._rows(self.items, candidates)
        asked = ops.broadcast_to(asked, (size_of(history, 0), *ops.shape(asked)[1:]))
        context, weights = self.attention(asked, value, value_mask=mask, training=training)
        outputs = ops.concatenate([asked, context, asked * context], axis=-1)
        for layer in self.hidden:
            outputs = layer(outputs)
        scores = ops.cast(self.output_layer(outputs)[..., 0], "float32")
        return scores + ops.cast(ops.take(self.bias, candidates), "float32"), weights

    def get_config(self):
        return super().get_config() | {
            "attention_units": self.attention_units,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "seed": self.seed,
        }
