"""From `generation_config.json` to a strategy: each option is honoured, or refused by its name."""

from typing import Any, NamedTuple

from keras_attention.decoding import Greedy, NormalizedBeam, Rules, Sample
from keras_attention.text import END_ID

# What changes no result, or is read elsewhere.
_WITHOUT_EFFECT = {
    "_from_model_config", "_commit_hash", "transformers_version", "use_cache", "return_dict_in_generate",
    "pad_token_id", "bos_token_id", "decoder_start_token_id", "output_attentions", "output_hidden_states",
    "output_scores", "output_logits", "cache_implementation", "disable_compile", "trust_remote_code",
}  # fmt: skip
# What is honoured.
_KNOWN = {
    "num_beams", "length_penalty", "early_stopping", "num_return_sequences", "do_sample", "temperature", "top_k",
    "top_p", "max_length", "max_new_tokens", "min_length", "min_new_tokens", "repetition_penalty",
    "no_repeat_ngram_size", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id",
    "forced_eos_token_id", "eos_token_id", "renormalize_logits",
}  # fmt: skip
# Options that a configuration may name, and the value at which they do nothing.
_REFUSED = {
    "num_beam_groups": 1, "diversity_penalty": 0.0, "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "exponential_decay_length_penalty": None, "sequence_bias": None, "constraints": None, "force_words_ids": None,
    "guidance_scale": None, "penalty_alpha": None, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0,
    "min_p": None, "top_h": None, "remove_invalid_values": False, "stop_strings": None, "dola_layers": None,
    "watermarking_config": None, "prompt_lookup_num_tokens": None, "token_healing": False, "low_memory": None,
    "max_time": None,
}  # fmt: skip


class Generation(NamedTuple):
    """How a checkpoint is to be decoded.

    Attributes:
        strategy: a `NormalizedBeam`, `Greedy` or `Sample`.
        max_length: most tokens of a result, its end not counted.
    """

    strategy: Any
    max_length: int


def first_of(value):
    """The first of several ids, or the one that is not in a list."""
    return value[0] if isinstance(value, list) else value


def generation_of(folder, ids, start=None, **chosen):
    """What a configuration asks for.

    Args:
        folder: a `Folder`.
        ids: function from an id of the checkpoint to one of the vocabulary.
        start: id of the token that the decoder starts with, if that is one that
            results may hold too.
        **chosen: options instead of the configuration's.

    Raises:
        ValueError: for an option that is not supported, by its name.
    """
    config = folder.generation_config()
    _check(config, chosen, folder.has("generation_config.json"))
    given = {"eos_token_id": folder.config["eos_token_id"], **config, **chosen}
    options = {name: value for name, value in given.items() if name in _KNOWN and value is not None}
    rules, max_length = _rules(options, ids, start)
    width, sampled = options.get("num_beams", 1), options.get("do_sample", False)
    if sampled and width > 1:
        raise ValueError("generation_config: do_sample with num_beams above 1 is not supported. Choose one of them.")
    if width == 1 and options.get("num_return_sequences", 1) > 1:
        raise ValueError("generation_config: num_return_sequences above 1 needs num_beams above 1.")
    if sampled:
        top_k = options.get("top_k", 50) or None
        settings = {"temperature": options.get("temperature", 1.0), "top_k": top_k, "top_p": options.get("top_p", 1.0)}
        return Generation(Sample(**settings, rules=rules), max_length)
    if width == 1:
        return Generation(Greedy(rules), max_length)
    names = {"num_return_sequences": "n_best", "length_penalty": "length_penalty", "early_stopping": "early_stopping"}
    settings = {ours: options[theirs] for theirs, ours in names.items() if theirs in options}
    return Generation(NormalizedBeam(width, **settings, rules=rules), max_length)


def _check(config, chosen, is_generation_config):
    wanted = {name: value for name, value in config.items() if name in _REFUSED and value not in (None, _REFUSED[name])}
    known = _KNOWN | _WITHOUT_EFFECT | _REFUSED.keys()
    unknown = set(chosen) - _KNOWN
    if is_generation_config:
        unknown |= {name for name, value in config.items() if name not in known and value is not None}
    refused = [*(f"{name}={value!r}" for name, value in wanted.items()), *sorted(unknown)]
    if refused:
        raise ValueError(
            f"generation_config: {', '.join(refused)} is not supported. Take it out of generation_config.json if "
            f"results without it will do; supported are {', '.join(sorted(_KNOWN))}."
        )


def _rules(options, ids, start):
    """The `Rules`, and the most tokens."""
    ends = options["eos_token_id"] if isinstance(options["eos_token_id"], list) else [options["eos_token_id"]]
    more_ends = tuple(index for index in map(ids, ends) if index != END_ID)
    if len(more_ends) == len(ends):
        raise ValueError(f"generation_config: eos_token_id={ends} must hold the one of config.json.")
    forced_end = first_of(options.get("forced_eos_token_id"))
    if forced_end is not None and forced_end not in ends:
        raise ValueError(f"generation_config: forced_eos_token_id={forced_end} must be among eos_token_id={ends}.")
    longest = options["max_new_tokens"] + 1 if "max_new_tokens" in options else options.get("max_length", 20)
    shortest = max(options.get("min_length", 0) - 1, options.get("min_new_tokens", 0))
    first = options.get("forced_bos_token_id")
    rules = Rules(
        repetition_penalty=options.get("repetition_penalty", 1.0),
        no_repeat_ngram=options.get("no_repeat_ngram_size", 0),
        min_length=shortest,
        barred=tuple(map(ids, _barred(options))),
        barred_first=tuple(map(ids, options.get("begin_suppress_tokens", ()))),
        first=None if first is None else ids(first),
        more_ends=more_ends,
        start=None if start is None else ids(start),
        limit="cut" if forced_end is None else "forced",
        renormalize=options.get("renormalize_logits", False),
    )
    return rules, longest - (1 if forced_end is None else 2)


def _barred(options):
    words = options.get("bad_words_ids", [])
    long = [word for word in words if len(word) > 1]
    if long:
        raise ValueError(
            f"generation_config: bad_words_ids of more than one token are not supported. Received {long[:3]}."
        )
    return [*(word[0] for word in words), *options.get("suppress_tokens", ())]
