"""Weights of a Transformer by the names that BART, and what descends from it, gives them, into a model here."""

from typing import Any, NamedTuple

import numpy as np

from keras_attention.models import TransformerTranslator
from keras_attention.text import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNKNOWN_ID

# By the names that configurations have for Keras' activations.
_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "swish": "silu", "silu": "silu", "tanh": "tanh", "sigmoid": "sigmoid"}
# Sinusoids, which some files have.
_COMPUTED = {f"model.{part}.embed_positions.weight" for part in ("encoder", "decoder")}
_COMPUTED |= {name.replace("weight", "weights") for name in _COMPUTED}
NEVER = -50.0  # the logit of a token that is no result; a smoothed loss stays a number


def _activation_of(config):
    """The name of an activation in Keras.

    Raises:
        ValueError: for one that is not known.
    """
    name = config["activation_function"]
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"config.json: activation_function={name!r} is not supported. Supported are {', '.join(_ACTIVATIONS)}."
        )
    return _ACTIVATIONS[name]


class Rows:
    """Which row of a checkpoint's embedding is which row of ours: the special tokens come first, then all others.

    Args:
        tokens: every token of the checkpoint, in its order; None for an id
            without one.
        pad, start, end: ids of special tokens; the start may be another's too.
        own_start: whether the start is a token of its own, which is in no text.
    """

    def __init__(self, tokens, pad, start, end, own_start=False):
        unknown = tokens.index("<unk>")
        special = {pad, unknown, end} | ({start} if own_start else set())
        self.start, self.end = start, end
        self._own_start = own_start
        others = [index for index in range(len(tokens)) if index not in special]
        self.rows = np.array([pad, unknown, start, end, *others])
        self._ids = {row: number for number, row in enumerate(others, len(SPECIAL_TOKENS))}
        self._ids |= {pad: PAD_ID, unknown: UNKNOWN_ID, end: END_ID} | ({start: START_ID} if own_start else {})
        self.unused = [index for index in others if tokens[index] is None or set("\r\n") & set(tokens[index])]
        missing = set(self.unused)
        self.tokens = [f"[UNUSED {index}]" if index in missing else tokens[index] for index in others]

    @property
    def silent(self):
        """Tokens that add nothing to a text."""
        return [f"[UNUSED {index}]" for index in self.unused]

    def id(self, row):
        """The id here of an id of the checkpoint."""
        return self._ids[row]

    def matrix(self, matrix):
        """An embedding's rows in our order."""
        return matrix[self.rows]

    def bias(self, bias=None):
        """A bias of the logits in our order, with which a start that is another token too is never a result."""
        bias = np.zeros(len(self.rows), "float32") if bias is None else np.array(np.ravel(bias)[self.rows])
        if not self._own_start:
            bias[START_ID] = NEVER
        return bias


class Embeddings(NamedTuple):
    """Three matrices, `(vocabulary, units)` in our order.

    Attributes:
        source, target: of the ids that are read.
        output: matrix of the logits.
        tied: which of them are one, as in `TransformerTranslator`.
    """

    source: Any
    target: Any
    output: Any

    @property
    def tied(self):
        inputs, target = np.array_equal(self.source, self.target), np.array_equal(self.target, self.output)
        return {(True, True): "all", (True, False): "inputs", (False, True): "target"}.get((inputs, target))


def translator(config, weights, source, target, **arguments):
    """The model of a configuration, with its weights.

    Args:
        config: dict of what `config.json` has.
        weights: `Weights`.
        source, target: `Rows` of the vocabularies.
        **arguments: arguments of `TransformerTranslator` in which the
            architectures differ.
    """
    embeddings = weights.embeddings(source, target)
    model = TransformerTranslator(
        len(embeddings.source),
        len(embeddings.target),
        layers=config["encoder_layers"],
        units=config["d_model"],
        num_heads=config["encoder_attention_heads"],
        feed_forward_units=config["encoder_ffn_dim"],
        decoder_layers=config["decoder_layers"],
        tied=embeddings.tied,
        dropout=config.get("dropout", 0.1),
        output_bias=True,
        decoder_options={
            "num_heads": config["decoder_attention_heads"],
            "feed_forward_units": config["decoder_ffn_dim"],
        },
        epsilon=1e-5,
        activation=_activation_of(config),
        attention_dropout=config.get("attention_dropout", 0.0),
        activation_dropout=config.get("activation_dropout", 0.0),
        scale_embedding=config.get("scale_embedding", False),
        **arguments,
    )
    weights.fill(model, embeddings, target)
    return model


class Weights:
    """The weights of a checkpoint, each to be used once.

    Args:
        tensors: dict of arrays.
        name_of: function from BART's name of a weight to the checkpoint's.
        first_position: row of the table of positions that is the first
            token's; those before are of none.
    """

    def __init__(self, tensors, name_of=str, first_position=2):
        self._tensors = tensors
        self._name_of = name_of
        self._first_position = first_position
        self._used = set()

    def __contains__(self, name):
        return self._name_of(name) in self._tensors

    def take(self, *names):
        """The first of some arrays that is there.

        Raises:
            ValueError: if none is.
        """
        names = list(map(self._name_of, names))
        for name in names:
            if name in self._tensors:
                self._used.add(name)
                return self._tensors[name]
        raise ValueError(
            f"The checkpoint has no weight {' or '.join(names)}. It has, among others, "
            f"{', '.join(sorted(self._tensors)[:5])}."
        )

    def embeddings(self, source, target):
        """The `Embeddings` of a translator, from the `Rows` of its vocabularies."""
        shared = "model.shared.weight"
        of_target = ("model.decoder.embed_tokens.weight", shared, "lm_head.weight")
        found = Embeddings(
            source.matrix(self.take("model.encoder.embed_tokens.weight", shared)),
            target.matrix(self.take(*of_target)),
            target.matrix(self.take("lm_head.weight", *of_target)),
        )
        self._used.add(shared)
        return found

    def fill(self, model, embeddings, target):
        """All weights into a translator.

        Raises:
            ValueError: for a weight that is missing, or for which the model has no place: it would compute something
                else.
        """
        encoder, decoder = model.encoder, model.decoder
        encoder.embedding.embeddings.assign(embeddings.source)
        decoder.embedding.embeddings.assign(embeddings.target)
        bias = target.bias(self.take("final_logits_bias") if "final_logits_bias" in self else None)
        if decoder.output_projection is None:
            decoder.tied_bias.assign(bias)
        else:
            decoder.output_projection.kernel.assign(embeddings.output.T)
            decoder.output_projection.bias.assign(bias)
        for stack, name in ((encoder, "model.encoder"), (decoder, "model.decoder")):
            self.stack(stack, name)
        computed = set() if encoder.positions == "learned" else _COMPUTED
        left = sorted(set(self._tensors) - self._used - computed)
        if left:
            raise ValueError(f"The checkpoint has weights that the model has no place for: {', '.join(left[:10])}.")

    def dense(self, layer, name):
        """A linear layer into a dense one, with heads or without."""
        kernel = self.take(f"{name}.weight").T
        bias = self.take(f"{name}.bias")
        layer.kernel.assign(np.reshape(kernel, layer.kernel.shape))
        layer.bias.assign(np.reshape(bias, layer.bias.shape))

    def norm(self, layer, name):
        """A layer normalisation."""
        layer.gamma.assign(self.take(f"{name}.weight"))
        layer.beta.assign(self.take(f"{name}.bias"))

    def attention(self, layer, name):
        """An attention of several heads."""
        projections = zip("qkv", (layer.query_dense, layer.key_dense, layer.value_dense), strict=True)
        for letter, projection in projections:
            self.dense(projection, f"{name}.{letter}_proj")
        self.dense(layer.output_dense, f"{name}.out_proj")

    def stack(self, stack, name):
        """All blocks of an encoder or a decoder, and the norms before and behind them."""
        for index, block in enumerate(stack.blocks):
            begin = f"{name}.layers.{index}"
            self.attention(block.self_attention, f"{begin}.self_attn")
            self.norm(block.self_residual.normalization, f"{begin}.self_attn_layer_norm")
            if getattr(block, "has_source", False):
                self.attention(block.cross_attention, f"{begin}.encoder_attn")
                self.norm(block.cross_residual.normalization, f"{begin}.encoder_attn_layer_norm")
            self.dense(block.feed_forward.hidden, f"{begin}.fc1")
            self.dense(block.feed_forward.output_projection, f"{begin}.fc2")
            self.norm(block.feed_forward_residual.normalization, f"{begin}.final_layer_norm")
        if stack.positions == "learned":
            table = self.take(f"{name}.embed_positions.weight")[self._first_position :]
            stack.position_layer.table.assign(table[: stack.max_length])
        if stack.embedding_norm is not None:
            self.norm(stack.embedding_norm, f"{name}.layernorm_embedding")
        if stack.final_norm is not None:
            self.norm(stack.final_norm, f"{name}.layer_norm")
