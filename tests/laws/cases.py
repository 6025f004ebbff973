"""Every attention, decoder cell, model and strategy, in every form that has code of its own.

The laws run over these tables. `test_registry.py` holds that nothing public is
missing from them.
"""

import keras
import numpy as np
from keras import ops

from keras_attention import layers
from keras_attention.decoding import Beam, Greedy, NormalizedBeam, Sample
from keras_attention.models import (
    DateConverter,
    DeepInterestNetwork,
    EncoderDecoder,
    GNMTTranslator,
    LanguageModel,
    MemoryNetwork,
    ProfileRecommender,
    RecurrentDecoder,
    RecurrentEncoder,
    RecurrentForecaster,
    RecurrentTranslator,
    SASRec,
    SeriesToSeries,
    TransformerDecoder,
    TransformerEncoder,
    TransformerForecaster,
    TransformerTranslator,
    VanillaSeq2Seq,
)


@keras.saving.register_keras_serializable(package="tests")
def squared_distance(query, key):
    """A score of a user's own."""
    return -ops.sum(ops.square(query[:, :, None, :] - key[:, None, :, :]), axis=-1)


# Name: a function of keyword arguments (such as dtype) that makes the layer. Query width 5, value width 5.
ATTENTIONS = {
    "dot": lambda **kw: layers.Attention("dot", **kw),
    "dot learned scale": lambda **kw: layers.Attention(layers.DotScore(learned_scale=True), **kw),
    "scaled_dot": lambda **kw: layers.Attention("scaled_dot", **kw),
    "scaled_dot learned scale": lambda **kw: layers.Attention(layers.DotScore(scaled=True, learned_scale=True), **kw),
    "general": lambda **kw: layers.Attention("general", **kw),
    "scaled_luong": lambda **kw: layers.Attention("scaled_luong", **kw),
    "reduced_rank": lambda **kw: layers.Attention(layers.ReducedRankScore(rank=3), **kw),
    "reduced_rank learned scale": lambda **kw: layers.Attention(
        layers.ReducedRankScore(rank=3, learned_scale=True), **kw
    ),
    "additive": lambda **kw: layers.Attention("additive", **kw),
    "concat": lambda **kw: layers.Attention("concat", **kw),
    "normed_bahdanau": lambda **kw: layers.Attention("normed_bahdanau", **kw),
    "function": lambda **kw: layers.Attention(squared_distance, **kw),
    "with dropout": lambda **kw: layers.Attention("general", dropout=0.5, seed=1, **kw),
    "interaction": lambda **kw: layers.Attention(layers.InteractionScore((6, 3)), **kw),
    "interaction in chunks": lambda **kw: layers.Attention(layers.InteractionScore((6, 3)), blockwise=True, **kw),
    "Bahdanau": lambda **kw: layers.BahdanauAttention(11, **kw),
    "Bahdanau normed": lambda **kw: layers.BahdanauAttention(11, normed=True, **kw),
    "Luong dot": lambda **kw: layers.LuongAttention("dot", **kw),
    "Luong general scaled": lambda **kw: layers.LuongAttention("general", learned_scale=True, **kw),
    "Luong concat": lambda **kw: layers.LuongAttention("concat", units=11, **kw),
    "Luong of a score": lambda **kw: layers.LuongAttention(layers.ReducedRankScore(rank=3), **kw),
}

ATTENTIONS |= {
    "Bahdanau in chunks": lambda **kw: layers.BahdanauAttention(11, blockwise=True, **kw),
    "normed in chunks, with dropout": lambda **kw: layers.Attention(
        "normed_bahdanau", blockwise=True, dropout=0.5, seed=1, **kw
    ),
    "general in chunks": lambda **kw: layers.Attention("general", blockwise=True, **kw),
    "local-m": lambda **kw: layers.LocalAttention("general", "monotonic", half_width=3, **kw),
    "local-p": lambda **kw: layers.LocalAttention("general", "predictive", half_width=3, units=4, **kw),
    "location": lambda **kw: layers.LocationAttention(max_length=9, **kw),
    "location, longer source than rows": lambda **kw: layers.LocationAttention(max_length=5, **kw),
    "monotonic": lambda **kw: layers.MonotonicAttention("general", **kw),
}

# Their rows sum to at most one: the Gaussian is not normalised again, a step may run off the end.
SUMS_BELOW_ONE = {"local-p", "monotonic"}


def steps_of(layer, query, memory):
    """Reads a memory one query at a time, handing on the state."""
    state = layer.start(memory)
    for position in range(query.shape[1]):
        output = layer.read(query[:, position : position + 1], memory, state)
        state = output.state
        yield output


# Name: a function of keyword arguments that makes the layer, for sequences of width 5.
POOLINGS = {
    "learned": lambda **kw: layers.AttentionPooling(11, **kw),
    "learned, as wide as the sequence": lambda **kw: layers.AttentionPooling(**kw),
    "learned dot": lambda **kw: layers.AttentionPooling(score="dot", **kw),
    "learned general": lambda **kw: layers.AttentionPooling(score=layers.GeneralScore(learned_scale=True), **kw),
    "learned normed": lambda **kw: layers.AttentionPooling(11, score="normed_bahdanau", **kw),
    "learned, with dropout": lambda **kw: layers.AttentionPooling(11, dropout=0.5, seed=1, **kw),
    "last": lambda **kw: layers.AttentionPooling(11, query="last", **kw),
    "last scaled dot": lambda **kw: layers.AttentionPooling(query="last", score="scaled_dot", **kw),
    "last with a function": lambda **kw: layers.AttentionPooling(query="last", score=squared_distance, **kw),
}

# Name: arguments of a multi-head layer of 4 heads of 6; the laws run them over these classes.
HEADED = {layers.MultiHeadAttention, layers.MultiHeadSelfAttention}
MULTI_HEADS = {
    "plain": {},
    "grouped": {"kv_heads": 2},
    "multi-query, normed": {"kv_heads": 1, "qk_norm": True},
    "rotary": {"positions": "rotary"},
    "alibi": {"positions": "alibi"},
    "window": {"sliding_window": 3},
    "wide values, no bias": {"value_dim": 7, "use_bias": False},
    "everything": {"kv_heads": 2, "qk_norm": True, "positions": "rotary", "sliding_window": 4, "value_dim": 3},
}

# Name: arguments of a `TuringMachineCell` of 6 units.
TURING_MACHINES = {
    "LSTM": {"slots": 5, "width": 4},
    "feed-forward": {"slots": 7, "width": 3, "controller": "feed_forward", "read_heads": 2, "shifts": 2},
    "GRU, several heads, learned memory": {
        "slots": 4,
        "width": 3,
        "controller": "gru",
        "read_heads": 2,
        "write_heads": 3,
        "memory": "learned",
    },
}


def turing_machine(name, **kw):
    """A cell of 6 units by its name in `TURING_MACHINES`."""
    return layers.TuringMachineCell(6, **(TURING_MACHINES[name] | kw))


# Name: a function of keyword arguments that makes a cell of 6 units, for values of width 6.
CELLS = {
    "Bahdanau": lambda **kw: layers.BahdanauCell(6, **kw),
    "Bahdanau LSTM": lambda **kw: layers.BahdanauCell(6, cell="lstm", attention_units=4, **kw),
    "Bahdanau deep output": lambda **kw: layers.BahdanauCell(6, deep_output=5, normed=True, **kw),
    "Bahdanau deep output of the previous state": lambda **kw: layers.BahdanauCell(
        6, deep_output=5, output_state="previous", **kw
    ),
    "Luong parallel": lambda **kw: layers.LuongCell(6, input_feeding=False, **kw),
    "Luong parallel LSTM": lambda **kw: layers.LuongCell(6, cell="lstm", score="concat", input_feeding=False, **kw),
    "Luong input feeding": lambda **kw: layers.LuongCell(6, score="general", learned_scale=True, **kw),
    "Luong input feeding LSTM": lambda **kw: layers.LuongCell(6, cell="lstm", score="dot", **kw),
    "the book's": lambda **kw: layers.LuongCell(
        6, cell="lstm", score="dot", input_feeding=False, attentional_vector=False, **kw
    ),
    "fed with context and state": lambda **kw: layers.LuongCell(6, attentional_vector=False, **kw),
    "Addons' wrapper": lambda **kw: layers.LuongCell(
        6, cell="lstm", score=layers.AdditiveScore(units=4), attentional_units=5, attentional_activation=None, **kw
    ),
    "Luong with a function": lambda **kw: layers.LuongCell(6, score=squared_distance, **kw),
    "GNMT": lambda **kw: layers.GNMTCell(6, **kw),
    "GNMT, previous context, GRU": lambda **kw: layers.GNMTCell(6, context="previous", cell="gru", **kw),
    "plain": lambda **kw: layers.PlainCell(6, **kw),
    "Turing machine": lambda **kw: layers.PlainCell(6, cell=turing_machine("LSTM", **kw), **kw),
    "Luong, Turing machine": lambda **kw: layers.LuongCell(6, cell=turing_machine("feed-forward", **kw), **kw),
    "plain LSTM": lambda **kw: layers.PlainCell(6, cell="lstm", **kw),
}

# Those that compute or carry something of their own, as a cell may hold them.
IN_CELLS = {name: ATTENTIONS[name] for name in ("local-m", "local-p", "location", "monotonic")} | {
    "two heads": lambda **kw: layers.MultiHeadAttention(2, 3, **kw),
    "two rotary heads in a window": lambda **kw: layers.MultiHeadAttention(
        2, 4, positions="rotary", sliding_window=4, **kw
    ),
}

# Name: a function of an attention that makes a cell of 6 units around it.
CELLS_AROUND = {
    "Bahdanau": lambda attention, **kw: layers.BahdanauCell(6, attention=attention, **kw),
    "Luong parallel": lambda attention, **kw: layers.LuongCell(6, input_feeding=False, attention=attention, **kw),
    "Luong input feeding LSTM": lambda attention, **kw: layers.LuongCell(6, cell="lstm", attention=attention, **kw),
}


def _around(cell, attention):
    return lambda **kw: CELLS_AROUND[cell](IN_CELLS[attention](**kw), **kw)


# Each attention, and each cell, several times; `test_every_attention_in_every_cell_may_be_cut_anywhere` has all pairs.
CELLS |= {
    f"{cell}, {attention}": _around(cell, attention)
    for cell, attention in (
        ("Bahdanau", "local-m"),
        ("Bahdanau", "monotonic"),
        ("Bahdanau", "two rotary heads in a window"),
        ("Luong parallel", "local-m"),
        ("Luong parallel", "monotonic"),
        ("Luong parallel", "two heads"),
        ("Luong input feeding LSTM", "local-p"),
        ("Luong input feeding LSTM", "location"),
        ("Luong input feeding LSTM", "two rotary heads in a window"),
    )
}

SOURCE_IDS, TARGET_IDS = 13, 7

MODELS = {
    "luong": lambda **kw: DateConverter(SOURCE_IDS, TARGET_IDS, units=6, embedding_dim=5, **kw),
    "luong feeding, LSTM, one direction": lambda **kw: DateConverter(
        SOURCE_IDS,
        TARGET_IDS,
        units=6,
        embedding_dim=5,
        cell="lstm",
        bidirectional=False,
        bridge="copy",
        attention_options={"input_feeding": True},
        **kw,
    ),
    "bahdanau": lambda **kw: DateConverter(
        SOURCE_IDS,
        TARGET_IDS,
        units=6,
        embedding_dim=5,
        attention="bahdanau",
        attention_options={"deep_output": 4},
        bridge="backward",
        **kw,
    ),
    "bahdanau LSTM, dropout": lambda **kw: DateConverter(
        SOURCE_IDS,
        TARGET_IDS,
        units=6,
        embedding_dim=5,
        attention="bahdanau",
        cell="lstm",
        bridge="zeros",
        dropout=0.3,
        **kw,
    ),
    "vanilla": lambda **kw: VanillaSeq2Seq(SOURCE_IDS, TARGET_IDS, units=6, embedding_dim=5, **kw),
    "vanilla LSTM": lambda **kw: VanillaSeq2Seq(SOURCE_IDS, TARGET_IDS, units=6, embedding_dim=5, cell="lstm", **kw),
}


def _transformer(tied=None, target_ids=TARGET_IDS, **arguments):
    """A function of keyword arguments that makes a small Transformer."""
    sizes = {"layers": 2, "units": 8, "num_heads": 2, "feed_forward_units": 12, "decoder_layers": 1} | arguments
    return lambda **kw: TransformerTranslator(SOURCE_IDS, target_ids, tied=tied, **(sizes | kw))


MODELS |= {
    "two layers, tied": lambda **kw: RecurrentTranslator(
        SOURCE_IDS, TARGET_IDS, units=6, embedding_dim=5, layers=2, residual=True, **kw
    ),
    "three LSTM layers, Luong": lambda **kw: RecurrentTranslator(
        SOURCE_IDS,
        TARGET_IDS,
        units=6,
        embedding_dim=5,
        layers=3,
        residual=True,
        attention="luong",
        cell="lstm",
        tied=False,
        **kw,
    ),
    "transformer": _transformer(dropout=0.0, norm="post"),
    "transformer, output tied, pre-norm": _transformer("target", norm="pre", activation="swiglu", decoder_layers=2),
    "transformer, all tied": _transformer("all", target_ids=SOURCE_IDS),
    "transformer, rotary": _transformer(positions="rotary", attention_options={"kv_heads": 1, "sliding_window": 3}),
    "transformer, ALiBi": _transformer(positions="alibi"),
    "transformer, learned positions": _transformer(positions="learned", max_length=20),
    "transformer, as checkpoints have it": _transformer(
        "all",
        target_ids=SOURCE_IDS,
        scale_embedding=False,
        embedding_norm=True,
        output_bias=True,
        norm="post",
        epsilon=1e-5,
    ),
}

# Parts of one kind with parts of another.
_BLOCKS = {"layers": 1, "num_heads": 2, "feed_forward_units": 12}


def _recurrent_encoder_transformer_decoder(**kw):
    embedding = keras.layers.Embedding(TARGET_IDS, 8, **kw)
    encoder = RecurrentEncoder(SOURCE_IDS, 6, cell="lstm", **kw)
    return EncoderDecoder(encoder, TransformerDecoder(embedding, **_BLOCKS, **kw), **kw)


def _transformer_encoder_recurrent_decoder(**kw):
    encoder = TransformerEncoder(keras.layers.Embedding(SOURCE_IDS, 8, **kw), **_BLOCKS, **kw)
    cells = [layers.LuongCell(6, cell="lstm", **kw), layers.PlainCell(6, **kw), layers.BahdanauCell(5, **kw)]
    return EncoderDecoder(encoder, RecurrentDecoder(TARGET_IDS, cells, embedding_dim=5, **kw), **kw)


def _positions_of_its_own(**kw):
    """Another way to add positions in each part, counted from two."""
    arguments = _BLOCKS | {"embedding_norm": True}
    encoder = TransformerEncoder(
        keras.layers.Embedding(SOURCE_IDS, 8, **kw),
        positions=layers.PositionalEncoding(first=2, **kw),
        **arguments,
        **kw,
    )
    positions = layers.LearnedPositions(20, **kw)
    decoder = TransformerDecoder(
        keras.layers.Embedding(TARGET_IDS, 8, **kw), positions=positions, output_bias=True, **arguments, **kw
    )
    return EncoderDecoder(encoder, decoder, **kw)


def _with_attention(cell, attention, **arguments):
    return lambda **kw: DateConverter(
        SOURCE_IDS, TARGET_IDS, units=6, embedding_dim=5, attention=_around(cell, attention)(**kw), **arguments, **kw
    )


MODELS |= {
    "GNMT": lambda **kw: GNMTTranslator(SOURCE_IDS, TARGET_IDS, units=6, layers=3, **kw),
    "GNMT, previous context, GRU": lambda **kw: GNMTTranslator(
        SOURCE_IDS, TARGET_IDS, units=6, embedding_dim=5, layers=2, context="previous", cell="gru", tied=False, **kw
    ),
    "recurrent encoder, transformer decoder": _recurrent_encoder_transformer_decoder,
    "transformer encoder, decoder of which two layers attend": _transformer_encoder_recurrent_decoder,
    "positions of its own in each part": _positions_of_its_own,
    "monotonic": _with_attention("Bahdanau", "monotonic"),
    "local-m": _with_attention("Luong parallel", "local-m"),
    "rotary heads, input feeding": _with_attention("Luong input feeding LSTM", "two rotary heads in a window"),
}


def _decoder_alone(tied=True, **arguments):
    def make(**kw):
        compute_dtype = keras.dtype_policies.get(kw.get("dtype", "float32")).compute_dtype
        embedding = (
            keras.layers.ReversibleEmbedding(TARGET_IDS, 8, reverse_dtype=compute_dtype, **kw)
            if tied
            else keras.layers.Embedding(TARGET_IDS, 8, **kw)
        )
        return LanguageModel(TransformerDecoder(embedding, **_BLOCKS, cross_attention=False, **arguments, **kw), **kw)

    return make


def _cells_alone(**kw):
    cells = [layers.PlainCell(6, cell="lstm", **kw), layers.PlainCell(6, **kw)]
    return LanguageModel(RecurrentDecoder(TARGET_IDS, cells, embedding_dim=5, **kw), **kw)


# Decoders without a source.
LANGUAGE_MODELS = {
    "sinusoids, tied": _decoder_alone(),
    "rotary heads in a window, post-norm": _decoder_alone(
        False, positions="rotary", norm="post", attention_options={"kv_heads": 1, "sliding_window": 3}
    ),
    "learned positions": _decoder_alone(positions="learned", max_length=20),
    "LSTM and GRU": _cells_alone,
}

# Models of series, of two targets.
HORIZON = 4
FORECASTERS = {
    "forecaster, Bahdanau": lambda **kw: RecurrentForecaster(HORIZON, 2, units=6, dropout=0.1, **kw),
    "Luong LSTM, both directions": lambda **kw: RecurrentForecaster(
        HORIZON, 2, units=6, attention="luong", cell="lstm", bidirectional=True, layers=2, **kw
    ),
    "forecaster without attention": lambda **kw: RecurrentForecaster(
        HORIZON, 2, units=6, attention=None, normalize=False, **kw
    ),
    "a cell": lambda **kw: RecurrentForecaster(
        HORIZON, 2, units=6, attention=_around("Luong parallel", "local-p")(**kw), **kw
    ),
    "transformer forecaster": lambda **kw: TransformerForecaster(
        HORIZON, 2, units=8, num_heads=2, feed_forward_units=12, positions="rotary", **kw
    ),
    "a convolution": lambda **kw: SeriesToSeries(
        keras.layers.Conv1D(6, 3, padding="same"), RecurrentDecoder(None, layers.LuongCell(6), output_dim=2), HORIZON
    ),
}

# Name: a function of keyword arguments that makes a memory network.
STORY_IDS = 12
MEMORY_NETWORKS = {
    "memory network": lambda **kw: MemoryNetwork(STORY_IDS, **({"units": 6, "hops": 3} | kw)),
    "layer-wise memory network": lambda **kw: MemoryNetwork(
        STORY_IDS, **({"units": 6, "hops": 2, "tying": "layerwise", "activation": "relu"} | kw)
    ),
    "memory network of bags of words without times": lambda **kw: MemoryNetwork(
        STORY_IDS, **({"units": 6, "hops": 2, "positions": False, "times": False, "empty_places": False} | kw)
    ),
}

ITEM_IDS, USER_IDS = 11, 7

# Name: a function of keyword arguments that makes a model of histories; see `with_profiles`.
RECOMMENDATION_MODELS = {
    "SASRec": lambda **kw: SASRec(ITEM_IDS, **({"units": 6, "max_length": 4} | kw)),
    "SASRec, three heads": lambda **kw: SASRec(
        ITEM_IDS, **({"units": 6, "max_length": 4, "layers": 1, "num_heads": 3, "dropout": 0.0} | kw)
    ),
    "profiles": lambda **kw: with_profiles(
        ProfileRecommender(
            ITEM_IDS, **({"units": 6, "max_length": 4, "users": (USER_IDS, 3), "item_profile_dim": 2, "rank": 4} | kw)
        )
    ),
    "without profiles": lambda **kw: ProfileRecommender(
        ITEM_IDS, **({"units": 6, "max_length": 4, "users": (USER_IDS, 3), "profiles": False} | kw)
    ),
    "interest": lambda **kw: DeepInterestNetwork(
        ITEM_IDS, **({"units": 6, "max_length": 4, "attention_units": (5, 4), "hidden_units": (4,)} | kw)
    ),
}


def with_profiles(model):
    """The model with profiles that differ."""
    generator = np.random.default_rng(0)
    model.set_profiles(*(generator.normal(size=weight.shape) for weight in (model.user_profiles, model.item_profiles)))
    return model


STRATEGIES = {
    "greedy": Greedy(),
    "beam of 1": Beam(1),
    "beam of 3": Beam(3, n_best=3),
    "beam of 4 with length penalty": Beam(4, length_penalty=1.0, n_best=2),
    "normalized beam of 4": NormalizedBeam(4, n_best=2),
    "beam of 3 with both penalties": Beam(3, length_penalty=0.6, coverage_penalty=0.4, n_best=3),
    "sample": Sample(temperature=0.7, top_p=0.9),
    "sample of the best": Sample(top_k=1),
}

# They answer otherwise each time.
RANDOM = {"sample"}

# Forms all of whose code others in the tables have too. The laws run over the others alone, but for `--thorough` and
# those that are marked with `every_form`. A new form is held to all of them until it is written here.
REPEATED = {
    # attentions
    "dot learned scale", "scaled_dot", "scaled_dot learned scale", "scaled_luong", "reduced_rank learned scale",
    "concat", "normed_bahdanau", "Bahdanau normed", "Luong dot", "Luong general scaled", "Luong concat",
    "Luong of a score",
    # cells
    "Bahdanau deep output", "Luong parallel LSTM", "Luong input feeding LSTM", "the book's", "Luong with a function",
    "fed with context and state", "GNMT, previous context, GRU", "plain LSTM", "Bahdanau, local-m",
    "Bahdanau, two rotary heads in a window", "Luong parallel, monotonic", "Luong parallel, two heads",
    "Luong parallel, local-m",
    # models
    "luong feeding, LSTM, one direction", "vanilla", "vanilla LSTM", "two layers, tied", "bahdanau",
    "transformer, all tied", "transformer, learned positions", "rotary heads, input feeding",
    # heads and poolings
    "grouped", "multi-query, normed", "rotary", "window", "learned dot", "learned normed", "last with a function",
    "learned, as wide as the sequence", "last scaled dot",
    # models of series
    "Luong LSTM, both directions", "forecaster without attention",
}  # fmt: skip

# Where each form is compiled, which takes long: what differs from those that are left in nothing that is compiled
# otherwise, but in the order of parts that are.
REPEATED_COMPILED = REPEATED | {
    "dot", "reduced_rank", "general in chunks", "function", "local-m", "Addons' wrapper",
    "Luong input feeding LSTM, location", "Luong input feeding LSTM, two rotary heads in a window", "luong",
    "bahdanau LSTM, dropout", "transformer", "transformer, output tied, pre-norm",
    "recurrent encoder, transformer decoder", "wide values, no bias", "learned general", "learned, with dropout",
    "LSTM and GRU", "a cell", "a convolution",
}  # fmt: skip

# On JAX every call compiles: what differs from those that are left in what Keras computes alike on each backend.
REPEATED_ON_JAX = REPEATED_COMPILED | {
    "additive", "location, longer source than rows", "normed in chunks, with dropout", "Bahdanau LSTM",
    "Luong parallel", "Luong input feeding LSTM, local-p", "alibi", "transformer, ALiBi", "three LSTM layers, Luong",
    "transformer encoder, decoder of which two layers attend",
}  # fmt: skip
