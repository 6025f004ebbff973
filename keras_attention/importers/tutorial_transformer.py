"""The Transformer of a PyTorch tutorial that many projects were made from: bentrevett's "pytorch-seq2seq"."""

from keras_attention.importers.files import tensors_of
from keras_attention.importers.generation import generation_of
from keras_attention.importers.imported import Imported
from keras_attention.importers.layers import Rows, Weights, translator
from keras_attention.importers.pickles import Record, read_pickle
from keras_attention.text import SPECIAL_TOKENS, PatternTokenizer, Vocabulary
from keras_attention.text.patterns import SMILES

# From BART's names to the tutorial's, in the order in which they are replaced.
_NAMES = (
    ("model.", ""), ("final_logits_bias", "decoder.fc_out.bias"), ("lm_head", "decoder.fc_out"),
    ("embed_tokens", "tok_embedding"), ("embed_positions", "pos_embedding"),
    ("encoder_attn_layer_norm", "enc_attn_layer_norm"), ("final_layer_norm", "ff_layer_norm"),
    ("self_attn.", "self_attention."), ("encoder_attn.", "encoder_attention."), ("out_proj", "fc_o"),
    ("q_proj", "fc_q"), ("k_proj", "fc_k"), ("v_proj", "fc_v"),
    ("fc1", "positionwise_feedforward.fc_1"), ("fc2", "positionwise_feedforward.fc_2"),
)  # fmt: skip
_FEED_FORWARD = "{}.layers.0.positionwise_feedforward.fc_1.weight"
# What makes a checkpoint one of these.
_ITS_OWN = (
    "encoder.tok_embedding.weight", "encoder.pos_embedding.weight", _FEED_FORWARD.format("encoder"),
    "decoder.tok_embedding.weight", "decoder.pos_embedding.weight", _FEED_FORWARD.format("decoder"),
    "decoder.fc_out.weight",
)  # fmt: skip
# How a text is divided, and what stands between tokens of a result.
_TOKENS = {"smiles": (SMILES, ""), "characters": (".", ""), "words": (r"\S+", " ")}


def import_tutorial_transformer(
    folder, source_language=None, target_language=None, num_heads=8, tokens="smiles", lower=False, **options
):
    """A Transformer of the tutorial, with its tokenizers and its way to decode.

    It is post-norm with positions that are learned, three embeddings and a bias
    of the logits. Its files hold neither the number of heads nor how texts were
    divided into tokens, so both are arguments.

    Args:
        folder: a `Folder` with the weights, a `.pt` file of a `state_dict` or a
            `.safetensors` file, and pickled vocabularies with `itos`: one
            `.pkl` file for both sides, or two, of which the name of one begins
            with `src` or `source`.
        source_language, target_language: not for these models.
        num_heads: attention heads of every block; 8 in the tutorial.
        tokens: `"smiles"`, `"characters"` or `"words"`, which white space
            divides.
        lower: whether texts are put into lower case first.
        **options: decoding options, by their names in `generation_config.json`;
            without any the search is greedy.

    Returns:
        `Imported`.

    Raises:
        FileNotFoundError: for a file that is missing.
        ValueError: for weights of another architecture, or a vocabulary or an
            option that does not fit.
    """
    _check(source_language, target_language, tokens)
    file = folder.only("*.pt", "*.pth", "*.bin", "*.safetensors")
    tensors = tensors_of(file)
    config = _config(file, tensors, num_heads)
    source, target = _rows(folder, tensors)
    folder.config = config | {"eos_token_id": target.end}
    length = min(len(tensors[f"{side}.pos_embedding.weight"]) for side in ("encoder", "decoder"))
    arguments = {"norm": "post", "positions": "learned", "max_length": length}
    weights = Weights(tensors, _name_of, first_position=0)
    model = translator(config, weights, source, target, **arguments)
    strategy, max_length = generation_of(folder, target.id, **options)
    pattern, separator = _TOKENS[tokens]
    shared = {"lower": lower, "separator": separator}
    around = {"before": [SPECIAL_TOKENS[2]], "behind": [SPECIAL_TOKENS[3]]}
    return Imported(
        model,
        PatternTokenizer(Vocabulary(source.tokens), pattern, silent=source.silent, **shared, **around),
        PatternTokenizer(Vocabulary(target.tokens), pattern, silent=target.silent, **shared),
        strategy,
        max_length=min(max_length, length - 1),
        max_source_length=length,
    )


def _check(source_language, target_language, tokens):
    if source_language or target_language:
        raise ValueError("A tutorial-transformer knows no languages: leave source_language and target_language out.")
    if tokens not in _TOKENS:
        raise ValueError(f"tutorial-transformer: tokens must be one of {', '.join(_TOKENS)}. Received {tokens!r}.")


def _name_of(name):
    """The tutorial's name of a weight, by BART's."""
    for theirs, ours in _NAMES:
        name = name.replace(theirs, ours)
    return name


def _config(file, tensors, num_heads):
    """What the shapes of the weights say, by BART's names."""
    missing = [name for name in _ITS_OWN if name not in tensors]
    if missing:
        there = ", ".join(sorted(tensors)[:5])
        raise ValueError(
            f"{file} is no Transformer of the tutorial: it has no weight {missing[0]}. It has, among others, {there}."
        )
    units = tensors[_ITS_OWN[0]].shape[1]
    if units % num_heads:
        raise ValueError(f"{file}: num_heads must divide the width of the model, {units}. Received {num_heads}.")
    config = {"d_model": units, "activation_function": "relu", "scale_embedding": True}
    config["max_length"] = len(tensors["decoder.pos_embedding.weight"])
    for side in ("encoder", "decoder"):
        begin = f"{side}.layers."
        layers = {int(name.removeprefix(begin).split(".")[0]) for name in tensors if name.startswith(begin)}
        config[f"{side}_layers"] = len(layers)
        config[f"{side}_ffn_dim"] = len(tensors[_FEED_FORWARD.format(side)])
        config[f"{side}_attention_heads"] = num_heads
    return config


def _rows(folder, tensors):
    """The `Rows` of both vocabularies."""
    files = folder.all("*.pkl", "*.pickle")
    sources = [file for file in files if file.name.lower().startswith(("src", "source"))]
    if len(files) == 2 and len(sources) == 1:
        files.remove(sources[0])
        files = [*sources, *files]
    else:
        files = [folder.only("*.pkl", "*.pickle")] * 2
    sizes = (len(tensors[f"{side}.tok_embedding.weight"]) for side in ("encoder", "decoder"))
    return [_rows_of(file, size) for file, size in zip(files, sizes, strict=True)]


def _rows_of(file, size):
    content = read_pickle(file)
    content = vars(content) if isinstance(content, Record) else content
    if isinstance(content, dict) and isinstance(content.get("vocab"), Record):  # of a torchtext field
        content = vars(content["vocab"])
    tokens = content.get("itos") if isinstance(content, dict) else content
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"{file} must hold `itos`, the list of all tokens, or be that list. It is {type(content)}.")
    if len(tokens) != size:
        raise ValueError(f"{file} has {len(tokens)} tokens, and the model's embedding {size} rows: they must be one's.")
    special = ("<pad>", "<sos>", "<eos>", "<unk>")
    missing = [token for token in special if token not in tokens]
    if missing:
        raise ValueError(f"{file} must hold the tokens {', '.join(special)}. It lacks {', '.join(missing)}.")
    return Rows(tokens, *(tokens.index(token) for token in special[:3]), own_start=True)
