"""Loads an export as a stranger would, and writes down what it answers.

Run as a script, in a process of its own, with TensorFlow and tensorflow-text
and nothing else: `python fresh_process.py FOLDER INPUTS.json OUTPUTS.npz`. The
inputs are batches of strings in base64; the outputs are `INDEX/NAME` arrays.
"""

import base64
import json
import sys

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that an export uses


def main(folder, inputs_file, outputs_file):
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    with open(inputs_file, encoding="ascii") as file:
        batches = [[base64.b64decode(text) for text in batch] for batch in json.load(file)]
    outputs = {}
    for index, batch in enumerate(batches):
        for name, tensor in signature(text=tf.constant(batch, tf.string, shape=[len(batch)])).items():
            array = tensor.numpy()
            outputs[f"{index}/{name}"] = array.astype(bytes) if array.dtype == object else array
    np.savez(outputs_file, **outputs)
    if "keras_attention" in sys.modules:
        raise SystemExit("the export needed keras_attention")


if __name__ == "__main__":
    main(*sys.argv[1:])
