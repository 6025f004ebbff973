"""Loads an export as a stranger would, and writes down what it answers.

Run as a script, in a process of its own, with TensorFlow and tensorflow-text
and nothing else: `python fresh_process.py FOLDER INPUTS OUTPUTS.npz`. `INPUTS`
is a folder of one file a tensor, as TensorFlow writes tensors, by the name
`INDEX.NAME`; the outputs are `INDEX/NAME` arrays.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that an export uses


def main(folder, inputs_folder, outputs_file):
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    requests = {}
    for file in sorted(pathlib.Path(inputs_folder).iterdir()):
        index, _, name = file.name.partition(".")
        requests.setdefault(index, {})[name] = tf.io.parse_tensor(file.read_bytes(), specs[name].dtype)
    outputs = {}
    for index, request in requests.items():
        for name, tensor in signature(**request).items():
            array = tensor.numpy()
            outputs[f"{index}/{name}"] = array.astype(bytes) if array.dtype == object else array
    np.savez(outputs_file, **outputs)
    if "keras_attention" in sys.modules:
        raise SystemExit("the export needed keras_attention")


if __name__ == "__main__":
    main(*sys.argv[1:])
