"""The Transformer, from subword ids of one language to logits of another."""

import keras

from keras_attention.layers.layer import serialized
from keras_attention.models.base import EncoderDecoder
from keras_attention.models.presets import Sized, split_options
from keras_attention.models.transformer.stack import STACK_OPTIONS
from keras_attention.models.transformer.stacks import TransformerDecoder, TransformerEncoder

# Wu et al. 2021, table 1, for "tiny" and "small" (Fairseq's iwslt configuration); Vaswani et al. 2017, table 3.
TRANSFORMER_PRESETS = {
    "tiny": {"layers": 4, "units": 128, "num_heads": 4, "feed_forward_units": 256, "dropout": 0.3},
    "small": {"layers": 6, "units": 512, "num_heads": 4, "feed_forward_units": 1024, "dropout": 0.3},
    "base": {"layers": 6, "units": 512, "num_heads": 8, "feed_forward_units": 2048, "dropout": 0.1},
}

TIES = ("all", "inputs", "target", None)


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerTranslator(Sized, EncoderDecoder):
    """The Transformer of Vaswani et al., from subword ids to subword logits.

    Args:
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        layers: blocks of the encoder, and of the decoder.
        units: width of the model.
        num_heads: attention heads of a block.
        feed_forward_units: width of the hidden layer of a block.
        decoder_layers: blocks of the decoder, if not `layers`.
        tied: which embeddings are one matrix: `"all"`: of source, target and
            output (the paper; the vocabularies must be one); `"inputs"`: of
            source and target; `"target"`: of target and output; None: three
            matrices.
        dropout: see `TransformerEncoder`.
        output_bias: whether the logits have a bias.
        decoder_options: dict of arguments of `TransformerDecoder` that are not
            as in the encoder, such as `{"num_heads": 4}`.
        **options: others of `TransformerEncoder`, such as `norm="post"`, which
            is the paper's (see docs/decisions/0006), `positions` or
            `activation`.

    Call args and Returns: see `EncoderDecoder`.

    Raises:
        ValueError: for `tied="all"` with vocabularies of different sizes.

    Example:

    >>> model = TransformerTranslator.from_preset("tiny", 60, 60)
    >>> model({"source": np.array([[5, 6, 7]]), "target": np.array([[2, 5]])}).shape
    TensorShape([1, 2, 60])

    Reference: Vaswani et al. 2017, "Attention Is All You Need".
    """

    presets = TRANSFORMER_PRESETS

    def __init__(
        self,
        source_vocabulary_size,
        target_vocabulary_size,
        layers=6,
        units=512,
        num_heads=8,
        feed_forward_units=2048,
        decoder_layers=None,
        tied="all",
        dropout=0.1,
        output_bias=False,
        decoder_options=None,
        **options,
    ):
        options, more = split_options(options, STACK_OPTIONS)
        _check_tied(tied, source_vocabulary_size, target_vocabulary_size)
        policy = keras.dtype_policies.get(more.get("dtype") or keras.config.dtype_policy())
        target_embedding = _embedding(target_vocabulary_size, units, policy, "embedding", tied in ("all", "target"))
        source_embedding = (
            target_embedding
            if tied in ("all", "inputs")
            else _embedding(source_vocabulary_size, units, policy, "source_embedding")
        )
        sizes = {"num_heads": num_heads, "feed_forward_units": feed_forward_units, "dropout": dropout, **options}
        of_decoder = {"output_bias": output_bias, **(decoder_options or {})}
        super().__init__(
            TransformerEncoder(source_embedding, layers, name="encoder", dtype=policy, **sizes),
            TransformerDecoder(
                target_embedding, decoder_layers or layers, name="decoder", dtype=policy, **(sizes | of_decoder)
            ),
            **more,
        )
        self.units = units
        self.tied = tied
        self.arguments = {
            "source_vocabulary_size": source_vocabulary_size,
            "target_vocabulary_size": target_vocabulary_size,
            "layers": layers,
            "units": units,
            "decoder_layers": decoder_layers,
            "tied": tied,
            "output_bias": output_bias,
            "decoder_options": decoder_options,
            **{name: serialized(value) for name, value in sizes.items()},
        }


def _check_tied(tied, source_vocabulary_size, target_vocabulary_size):
    if tied not in TIES:
        known = ", ".join(map(repr, TIES))
        raise ValueError(f"TransformerTranslator: tied must be one of {known}. Received {tied!r}.")
    if tied in ("all", "inputs") and source_vocabulary_size != target_vocabulary_size:
        raise ValueError(
            f"TransformerTranslator: tied={tied!r} needs one vocabulary for both languages. Received "
            f"{source_vocabulary_size} source and {target_vocabulary_size} target ids. Train a joint vocabulary, "
            "or use tied='target'."
        )


def _embedding(vocabulary_size, units, policy, name, reversible=False):
    arguments = {
        "embeddings_initializer": keras.initializers.RandomNormal(stddev=units**-0.5),
        "dtype": policy,
        "name": name,
    }
    if not reversible:
        return keras.layers.Embedding(vocabulary_size, units, **arguments)
    return keras.layers.ReversibleEmbedding(vocabulary_size, units, reverse_dtype=policy.compute_dtype, **arguments)
