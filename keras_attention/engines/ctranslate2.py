"""A Transformer as a model of CTranslate2, an engine for decoding in C++."""

import keras
import numpy as np

from keras_attention.decoding import Greedy
from keras_attention.models import TransformerTranslator
from keras_attention.settings import QUANTIZATIONS
from keras_attention.text import SPECIAL_TOKENS

# Texts that both engines translate before an export is said to be right.
EXAMPLES = ("3 May 1979", "a man in a blue shirt", "Guten Tag", "two birds")
_POSITIONS = 512  # positions that are written, where they are computed


def export_ctranslate2(task, folder, quantization=None, examples=EXAMPLES):
    """Writes a translator in CTranslate2's format, and checks it against this one.

    The folder gets `model.bin`, `config.json`, the vocabularies and the files of
    the tokenizers. CTranslate2 reads and writes tokens, those that
    `task.source_tokenizer.tokenize` gives.

    Args:
        task: a `TextToText` around a `TransformerTranslator`.
        folder: folder to write; it must not be there.
        quantization: `"int8"`, `"int16"`, `"float16"` or `"bfloat16"`; None
            keeps float32.
        examples: texts whose tokens, found by greedy search, must be the same
            in both. Quantized weights may choose otherwise and are not checked.

    Raises:
        ImportError: without the `ctranslate2` package.
        ValueError: for another model, or one with parts that CTranslate2 lacks.
        RuntimeError: if CTranslate2 finds other tokens.
    """
    try:
        import ctranslate2
    except ImportError as error:
        raise ImportError("An export to CTranslate2 needs its package: pip install ctranslate2.") from error
    if quantization not in (None, *QUANTIZATIONS):
        known = ", ".join(QUANTIZATIONS)
        raise ValueError(f"export_ctranslate2: quantization must be one of {known}. Received {quantization!r}.")
    specification = _specification(task)
    specification.validate()
    specification.optimize(quantization=quantization)
    folder.mkdir(parents=True)
    specification.save(str(folder))
    task.save_files(folder)
    if quantization is None:
        _check(task, ctranslate2.Translator(str(folder), device="cpu", compute_type="float32"), examples)


def _specification(task):
    from ctranslate2.specs import TransformerSpec
    from ctranslate2.specs import transformer_spec as specs

    model = task.model
    if not isinstance(model, TransformerTranslator):
        raise ValueError(
            f"export_ctranslate2: CTranslate2 has Transformers alone. Received a {type(model).__name__}; export a "
            "SavedModel of it."
        )
    parts = []
    for stack, kind in ((model.encoder, specs.TransformerEncoderSpec), (model.decoder, specs.TransformerDecoderSpec)):
        part = kind(
            stack.layers,
            stack.num_heads,
            pre_norm=stack.norm == "pre",
            activation=_activation(stack),
            layernorm_embedding=stack.embedding_norm is not None,
        )
        _fill_stack(part, stack)
        parts.append(part)
    specification = TransformerSpec(*parts)
    encoder, decoder = parts
    encoder.embeddings[0].weight = _array(model.encoder.embedding.embeddings)
    decoder.embeddings.weight = _array(model.decoder.embedding.embeddings)
    _fill_output(decoder.projection, model.decoder)
    specification.register_source_vocabulary(list(task.source_tokenizer.vocabulary.tokens))
    specification.register_target_vocabulary(list(task.target_tokenizer.vocabulary.tokens))
    config = specification.config
    _, config.unk_token, config.bos_token, config.eos_token = SPECIAL_TOKENS
    config.decoder_start_token = config.bos_token
    config.add_source_bos = config.add_source_eos = False
    config.layer_norm_epsilon = model.encoder.blocks[0].epsilon
    return specification


def _activation(stack):
    from ctranslate2.specs import common_spec

    kinds = {"relu": "RELU", "silu": "SWISH", "gelu": "GELU", "tanh": "Tanh", "sigmoid": "Sigmoid"}
    activation = stack.blocks[0].activation
    name = activation if isinstance(activation, str) else keras.activations.serialize(activation)
    if name not in kinds:
        raise ValueError(f"export_ctranslate2: no activation {name!r}; there are {', '.join(kinds)}.")
    return getattr(common_spec.Activation, kinds[name])


def _fill_stack(part, stack):
    if stack.position_layer is None or stack.attention_options:
        raise ValueError(
            "export_ctranslate2: positions must be added to the embedded tokens, and attention be plain. Received "
            f"positions={stack.positions!r}, attention_options={stack.attention_options}."
        )
    part.scale_embeddings = stack.scale_embedding
    count = stack.max_length if stack.positions == "learned" else _POSITIONS
    nothing = np.zeros((1, count, stack.units), "float32")
    part.position_encodings.encodings = _array(stack.position_layer(nothing))[0]
    if stack.embedding_norm is not None:
        _fill_norm(part.layernorm_embedding, stack.embedding_norm)
    if stack.final_norm is not None:
        _fill_norm(part.layer_norm, stack.final_norm)
    for target, block in zip(part.layer, stack.blocks, strict=True):
        _fill_attention(target.self_attention, block.self_attention, block.self_residual)
        if getattr(block, "has_source", False):
            _fill_attention(target.attention, block.cross_attention, block.cross_residual, own=False)
        _fill_norm(target.ffn.layer_norm, block.feed_forward_residual.normalization)
        _fill_linear(target.ffn.linear_0, block.feed_forward.hidden)
        _fill_linear(target.ffn.linear_1, block.feed_forward.output_projection)


def _fill_attention(target, layer, residual, own=True):
    _fill_norm(target.layer_norm, residual.normalization)
    inputs = [layer.query_dense, layer.key_dense, layer.value_dense]
    groups = [inputs] if own else [inputs[:1], inputs[1:]]
    for part, group in zip(target.linear, groups, strict=False):
        _fill_linear(part, *group)
    _fill_linear(target.linear[-1], layer.output_dense, rows=layer.num_heads * layer.value_dim)


def _fill_linear(target, *layers, rows=None):
    """One matrix for several layers, whose first `rows` axes, else the first one, are those of the inputs."""
    kernels = [_array(layer.kernel) for layer in layers]
    kernels = [kernel.reshape(rows or kernel.shape[0], -1) for kernel in kernels]
    target.weight = np.ascontiguousarray(np.concatenate(kernels, axis=1).T)
    target.bias = np.concatenate([_array(layer.bias).reshape(-1) for layer in layers])


def _fill_norm(target, layer):
    target.gamma, target.beta = _array(layer.gamma), _array(layer.beta)


def _fill_output(target, decoder):
    projection, bias = decoder.output_projection, decoder.tied_bias
    target.weight = _array(decoder.embedding.embeddings if projection is None else projection.kernel)
    if projection is not None:
        target.weight, bias = np.ascontiguousarray(target.weight.T), projection.bias
    if bias is not None:
        target.bias = _array(bias)


def _array(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float32")


def _check(task, translator, examples):
    """Raises a RuntimeError unless both engines find the same tokens."""
    expected = task.with_strategy(Greedy())(list(examples))
    barred = [[task.target_tokenizer.vocabulary.tokens[index]] for index in task.target_tokenizer.forbidden]
    for result in expected:
        found = translator.translate_batch(
            [result.source_tokens],
            beam_size=1,
            min_decoding_length=0,
            max_decoding_length=task.max_length,
            length_penalty=0,
            suppress_sequences=barred,
        )[0].hypotheses[0]
        if found != result.tokens:
            raise RuntimeError(
                f"CTranslate2 finds {found} where this model finds {result.tokens}, of {result.source_tokens}. The "
                "export is not to be used."
            )
