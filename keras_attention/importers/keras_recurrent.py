"""A recurrent translator of Keras' own layers, with `AdditiveAttention`, as it is built after Keras' examples.

    source   Embedding, Bidirectional(GRU), perhaps Dense     ->  value
    target   Embedding, GRU from zeros                        ->  query
    logits   Dense of the joined query and context

It is a decoder of Luong's order without input feeding. Keras' score is
`scale . tanh(query + value)`; with the Dense before it, it is the normed additive
score of the encoder's outputs, and what the Dense does to the context goes into
the matrix of the logits.
"""

import re
from typing import Any, NamedTuple

import numpy as np

from keras_attention.importers.generation import generation_of
from keras_attention.importers.imported import Imported
from keras_attention.importers.keras_archive import Archive
from keras_attention.importers.layers import NEVER, Rows
from keras_attention.importers.pickles import Record, read_pickle
from keras_attention.layers.attention import Attention
from keras_attention.layers.cells import LuongCell
from keras_attention.layers.scores import AdditiveScore
from keras_attention.models import EncoderDecoder, RecurrentDecoder, RecurrentEncoder
from keras_attention.text import PatternTokenizer, Vocabulary

START, END = "\t", "\n"  # of a target, as in Keras' example of character-level translation
FILL = "[FILL]"
_LONGEST = 32  # tokens of a result, the start counted, where targets were not longer

# What a layer must have been given for the model here to compute the same.
_AS_BUILT = {
    "GRU": {
        "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True,
        "return_sequences": True, "go_backwards": False,
    },
    "Bidirectional": {"merge_mode": "concat"},
    "Embedding": {"mask_zero": False},
    "Concatenate": {"axis": -1},
}  # fmt: skip


class _Parts(NamedTuple):
    """The layers of a model by what they do; `projection` may be None."""

    source_embedding: Any
    encoder: Any
    projection: Any
    target_embedding: Any
    decoder: Any
    attention: Any
    joined: Any
    output: Any


def import_keras_recurrent(folder, source_language=None, target_language=None, **options):
    """A GRU encoder-decoder of Keras' layers, with its tokenizers and its way to decode.

    Args:
        folder: a `Folder` with a `.keras` file of a functional model, and a
            `.pkl` file of a dict: two of Keras' character-level `Tokenizer`s,
            the target's with tab as start and line feed as end, and beside each
            `NAME_tokenizer` the length `max_NAME_len` that texts were padded
            to.
        source_language, target_language: not for these models.
        **options: decoding options, by their names in `generation_config.json`;
            without any the search is greedy.

    Returns:
        `Imported`. Characters that a tokenizer does not know are left out.

    Raises:
        FileNotFoundError: for a file that is missing.
        ValueError: for a model of another architecture, or a vocabulary or an
            option that does not fit.
    """
    if source_language or target_language:
        raise ValueError("A keras-recurrent model knows no languages: leave source_language and target_language out.")
    archive = Archive(folder.only("*.keras"))
    parts = _parts(archive)
    file = folder.only("*.pkl", "*.pickle")
    (source, source_length), (target, target_length) = _tokenizers(file)
    source_rows = _rows(file, source, parts.source_embedding, is_target=False)
    target_rows = _rows(file, target, parts.target_embedding, is_target=True)
    model = _model(archive, parts, source_rows, target_rows)
    folder.config = {"max_length": max(_LONGEST, target_length), "eos_token_id": target_rows.end}
    strategy, max_length = generation_of(folder, target_rows.id, **options)
    fixed = {"length": source_length, "fill": FILL}
    return Imported(
        model,
        _tokenizer(source, source_rows, **fixed),
        _tokenizer(target, target_rows),
        strategy,
        max_length,
        max_source_length=source_length,
    )


def _parts(archive):
    """The layers by what they do.

    Raises:
        ValueError: for another architecture; it says where it differs.
    """
    _check_settings(archive)
    output = archive.output
    archive.check(output.kind == "Dense", f"its output is of {output.kind}, expected Dense")
    activation = output.config["activation"]
    archive.check(activation in ("softmax", "linear"), f"{output.name} has activation={activation!r}")
    joined = archive.source(output, "Concatenate")
    kinds = {archive.layers[name].kind: archive.layers[name] for name in joined.sources}
    archive.check(
        kinds.keys() == {"GRU", "AdditiveAttention"},
        f"{joined.name} joins {', '.join(kinds)}, expected GRU and AdditiveAttention",
    )
    decoder, attention = kinds["GRU"], kinds["AdditiveAttention"]
    archive.check(
        len(attention.sources) == 2 and attention.sources[0] == decoder.name,
        f"{attention.name} reads {', '.join(attention.sources)}, expected {decoder.name} and one value",
    )
    value = archive.layers[attention.sources[1]]
    projection = None if value.kind == "Bidirectional" else value
    if projection is not None:
        archive.check(value.kind == "Dense", f"{attention.name} reads {value.kind}, expected Dense or Bidirectional")
        archive.check(value.config["activation"] == "linear", f"{value.name} has an activation")
    encoder = value if projection is None else archive.source(projection, "Bidirectional")
    embeddings = [archive.source(layer, "Embedding") for layer in (encoder, decoder)]
    parts = _Parts(embeddings[0], encoder, projection, embeddings[1], decoder, attention, joined, output)
    for embedding in embeddings:
        archive.source(embedding, "InputLayer")
    return parts


def _check_settings(archive):
    """That each layer is such that the model here computes the same."""
    given = [(layer.name, layer.kind, layer.config) for layer in archive.layers.values()]
    for layer in archive.layers.values():
        if layer.kind == "Bidirectional":
            forward = layer.config["layer"]
            archive.check(forward["class_name"] == "GRU", f"{layer.name} is of {forward['class_name']}, expected GRU")
            given.append((layer.name, "GRU", forward["config"]))
    for name, kind, config in given:
        for argument, value in _AS_BUILT.get(kind, {}).items():
            found = config.get(argument, value)
            archive.check(found == value, f"{name} has {argument}={found!r}, expected {value!r}")


def _tokenizers(file):
    """The tokenizers of source and target, each with its length."""
    assets = read_pickle(file)
    found = {}
    if isinstance(assets, dict):
        found = {
            name: value for name, value in assets.items() if isinstance(value, Record) and "word_index" in vars(value)
        }
    is_target = {name: {START, END} <= vars(value)["word_index"].keys() for name, value in found.items()}
    if sorted(is_target.values()) != [False, True]:
        raise ValueError(
            f"{file} must be a dict with two tokenizers of Keras, of which the target's has {START!r} and {END!r}. It "
            f"has the tokenizers {', '.join(found) or 'none'}."
        )
    for name in sorted(found, key=is_target.get):
        length = assets.get(f"max_{name.removesuffix('_tokenizer')}_len")
        if not isinstance(length, int) or length < 1:
            raise ValueError(
                f"{file} must hold max_{name.removesuffix('_tokenizer')}_len, an integer. It is {length!r}."
            )
        yield vars(found[name]), length


def _rows(file, tokenizer, embedding, is_target):
    """The `Rows` of a vocabulary, whose matrices get zeros for special tokens that it does not have."""
    size = embedding.config["input_dim"]
    tokens = [FILL, *[None] * (size - 1)]
    for token, index in tokenizer["word_index"].items():
        if not 0 < index < size:
            raise ValueError(f"{file} has id {index} for {token!r}, and {embedding.name} {size} rows.")
        tokens[index] = token
    unknown = tokenizer.get("oov_token")
    if unknown is not None:
        tokens[tokenizer["word_index"][unknown]] = "<unk>"
    long = [token for token in tokens[1:] if token not in (None, "<unk>") and len(token) > 1]
    if long:
        raise ValueError(f"{file} must have tokenizers with char_level=True. One has the tokens {long[:3]}.")
    tokens += [] if unknown is not None else ["<unk>"]
    if is_target:
        return Rows(tokens, 0, tokens.index(START), tokens.index(END), own_start=True)
    count = len(tokens)
    return Rows([*tokens, "<pad>", "<start>", "<end>"], count, count + 1, count + 2, own_start=True)


def _tokenizer(tokenizer, rows, **fixed):
    """Of the characters that are known; Keras' own reads any other as unknown, or leaves it out."""
    known = "".join(re.escape(token) for token in rows.tokens if len(token) == 1)
    return PatternTokenizer(
        Vocabulary(rows.tokens), f"[{known}]", lower=tokenizer["lower"], silent=rows.silent, **fixed
    )


def _model(archive, parts, source, target):
    """The model, with its weights."""
    (scale,) = archive.arrays(parts.attention.place) if parts.attention.config["use_scale"] else (None,)
    forward, units = parts.encoder.config["layer"]["config"], parts.decoder.config["units"]
    attention = Attention(AdditiveScore(units, normed=True), dropout=parts.attention.config["dropout"])
    model = EncoderDecoder(
        RecurrentEncoder(
            len(source.rows),
            forward["units"],
            embedding_dim=parts.source_embedding.config["output_dim"],
            dropout=forward["dropout"],
            name="encoder",
        ),
        RecurrentDecoder(
            len(target.rows),
            LuongCell(units, attention=attention, input_feeding=False, attentional_vector=False),
            embedding_dim=parts.target_embedding.config["output_dim"],
            bridge="zeros",
            dropout=parts.decoder.config["dropout"],
            name="decoder",
        ),
    )
    encoder, decoder = model.encoder, model.decoder
    for layer, part, rows in (
        (encoder.embedding, parts.source_embedding, source),
        (decoder.embedding, parts.target_embedding, target),
    ):
        layer.embeddings.assign(rows.matrix(_longer(archive.arrays(part.place)[0], rows)))
    places = [f"{parts.encoder.place}/{direction}_layer" for direction in ("forward", "backward")]
    cells = (*encoder.cells, decoder.cell.recurrent)
    for cell, place in zip(cells, (*places, parts.decoder.place), strict=True):
        for variable, array in zip(
            (cell.kernel, cell.recurrent_kernel, cell.bias), archive.arrays(f"{place}/cell"), strict=True
        ):
            variable.assign(array)
    _attend(archive, parts, decoder, target, scale)
    return model


def _attend(archive, parts, decoder, target, scale):
    """The weights of the attention and of the logits, in which that of the projection is."""
    score, output = decoder.cell.attention.score, decoder.output_projection
    kernel, bias = np.eye(score.units, dtype="float32"), np.zeros(score.units, "float32")
    if parts.projection is not None:
        kernel, *biases = archive.arrays(parts.projection.place)
        bias = biases[0] if biases else bias
    scale = np.ones_like(bias) if scale is None else scale
    score.query_projection.kernel.assign(np.eye(score.units))
    score.key_projection.kernel.assign(kernel)
    score.v.assign(scale[:, None])
    score.g.assign(np.linalg.norm(scale))
    score.b.assign(bias)
    logits, *biases = archive.arrays(parts.output.place)
    of_decoder, of_context = np.split(logits, 2)
    if parts.joined.sources[0] != parts.decoder.name:
        of_decoder, of_context = of_context, of_decoder
    columns = _longer(np.concatenate([kernel @ of_context, of_decoder]).T, target)
    output.kernel.assign(target.matrix(columns).T)
    own = biases[0] if biases else np.zeros(logits.shape[1], "float32")
    output.bias.assign(target.bias(_longer(own + bias @ of_context, target, NEVER)))


def _longer(array, rows, value=0.0):
    """An array with as many rows as a vocabulary has, special ones that it lacks among them."""
    missing = [(0, len(rows.rows) - len(array)), *[(0, 0)] * (array.ndim - 1)]
    return np.pad(array, missing, constant_values=value)
