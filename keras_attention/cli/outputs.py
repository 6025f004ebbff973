"""How the results of conversions are written: lines, JSON, alignments."""

import json

_DIGITS = 6  # of a weight, as many as float32 has


def as_json(conversion, weights=False):
    """A conversion as one line of JSON.

    Args:
        conversion: a `Conversion`.
        weights: whether to write the attention weights, a list for each token
            of the result.
    """
    record = {
        "text": conversion.text,
        "log_prob": conversion.log_prob,
        "finished": conversion.finished,
        "tokens": conversion.tokens,
        "source_tokens": conversion.source_tokens,
    }
    if len(conversion.n_best) > 1:
        record["n_best"] = [{"text": text, "log_prob": log_prob} for text, log_prob in conversion.n_best]
    if weights:
        record["weights"] = [[round(float(weight), _DIGITS) for weight in row] for row in conversion.weights]
    return json.dumps(record, ensure_ascii=False)


def as_alignment(conversion):
    """The token of the source that each token of the result attended to most, as `source-target` from 0: `0-0 2-1`."""
    if not conversion.weights.size:
        return ""
    return " ".join(f"{source}-{target}" for target, source in enumerate(conversion.weights.argmax(axis=1)))
