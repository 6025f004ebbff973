"""The description of a SavedModel, a protocol buffer without its weights: read, written, freed of where it was made."""

import pathlib

from tensorflow.core.protobuf import saved_model_pb2

_FILE = "saved_model.pb"


def read_description(folder):
    """The `SavedModel` message of a folder."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((pathlib.Path(folder) / _FILE).read_bytes())
    return saved


def write_description(folder, saved):
    """Writes a `SavedModel` message into a folder."""
    (pathlib.Path(folder) / _FILE).write_bytes(saved.SerializeToString(deterministic=True))


def forget_place(folder, place):
    """Takes the path of a folder in which files were made out of the names of the tables that read them.

    TensorFlow names a table by its file; who exports a model may not want to
    say where.

    Args:
        folder: folder of the SavedModel.
        place: where its files were.
    """
    saved, path = read_description(folder), f"{pathlib.Path(place).absolute()}/".encode()
    for graph in saved.meta_graphs:
        functions = graph.graph_def.library.function
        for node in (*graph.graph_def.node, *(node for function in functions for node in function.node_def)):
            if "shared_name" in node.attr:
                node.attr["shared_name"].s = node.attr["shared_name"].s.replace(path, b"")
    write_description(folder, saved)
