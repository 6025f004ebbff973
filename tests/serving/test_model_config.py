"""A file that says which models and which of their versions are served, in TensorFlow Serving's own format."""

import os
import pathlib

import numpy as np
import pytest

from keras_attention.serving.client import GrpcClient, RestClient
from keras_attention.serving.model_sources import ConfigFile, read_config

from .conftest import listening, running, save_sums, wait_until

ROW = {"instances": [{"x": [1, 2], "y": [3, 4]}]}


@pytest.fixture
def versions(tmp_path):
    """Versions 1, 2, 3 of a model, whose sums are greater by 10 for each."""
    for number in (1, 2, 3):
        save_sums(tmp_path / "sums" / str(number), offset=10.0 * number)
    return tmp_path


def entry(name="sums", base_path="sums", rest=""):
    return f"config {{ name: '{name}' base_path: '{base_path}' {rest} }}\n"


def listed(*entries):
    return f"model_config_list {{ {''.join(entries)} }}"


def write(folder, *entries):
    """A new file in the place of the one before, as an editor does it."""
    file = folder / "models.config"
    (folder / "new").write_text(listed(*entries))
    os.replace(folder / "new", file)
    return file


def ask(server, place, content=ROW):
    """What a place answers, or its status."""
    status, answer = server.ask("POST", f"/v1/models/{place}:predict", content)
    return answer["predictions"][0][0] if status == 200 else status


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", [3]),
        ("model_version_policy { latest {} }", [3]),
        ("model_version_policy { latest { num_versions: 2 } }", [2, 3]),
        ("model_version_policy { all {} }", [1, 2, 3]),
        ("model_version_policy { specific { versions: 1 versions: 3 } }", [1, 3]),
    ],
)
def test_policy_says_which_versions_answer(versions, policy, served):
    with running(None, source=ConfigFile(write(versions, entry(rest=policy)))) as server:
        answers = {number: ask(server, f"sums/versions/{number}") for number in (1, 2, 3)}
        assert answers == {number: 4.0 + 10.0 * number if number in served else 404 for number in (1, 2, 3)}
        assert ask(server, "sums") == 34.0
        assert ask(server, "sums/labels/stable") == 400


def test_labels_name_versions_and_move_with_the_file(versions):
    policy = "model_version_policy { all {} }"
    labels = "version_labels { key: 'stable' value: 1 } version_labels { key: 'a/b' value: 3 }"
    moved = "version_labels { key: 'stable' value: 2 }"
    with running(None, source=ConfigFile(write(versions, entry(rest=policy + labels)))) as server:
        assert ask(server, "sums/labels/stable") == 14.0
        assert ask(server, "sums/labels/a%2Fb") == 34.0
        sums = {name: np.array([row], "float32") for name, row in ROW["instances"][0].items()}
        for label, expected in (("stable", 14.0), ("a/b", 34.0)):
            client = RestClient(f"http://127.0.0.1:{server.port}", "sums", label=label)
            assert client.predict(sums)["output"][0, 0] == expected
        assert ask(server, "sums/labels/canary") == 400
        assert server.ask("GET", "/v1/models/sums/labels/stable/metadata")[1]["model_spec"]["version"] == "1"
        (status,) = server.ask("GET", "/v1/models/sums/labels/stable")[1]["model_version_status"]
        assert status["version"] == "1"
        write(versions, entry(rest=policy + moved))
        wait_until(lambda: ask(server, "sums/labels/stable") == 24.0)
        assert ask(server, "sums/labels/a%2Fb") == 400


def test_labels_hold_over_grpc(versions):
    rest = "model_version_policy { all {} } version_labels { key: 'stable' value: 1 }"
    with running(None, source=ConfigFile(write(versions, entry(rest=rest)))) as server, listening(server) as target:
        sums = {name: np.array([row], "float32") for name, row in ROW["instances"][0].items()}
        for options, expected in (({}, 34.0), ({"version": 2}, 24.0), ({"label": "stable"}, 14.0)):
            client = GrpcClient(target, "sums", **options)
            assert client.predict(sums)["sum"][0, 0] == expected
            client.close()


def test_models_come_and_go_with_the_file_from_several_folders(versions, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere")
    save_sums(other / "7", offset=100.0)
    file = write(versions, entry(), entry("a model/of others", other))
    with running(None, source=ConfigFile(file)) as server:
        assert server.store.names == ["a model/of others", "sums"]
        assert ask(server, "a%20model%2Fof%20others") == 104.0
        write(versions, entry("renamed", "sums"))
        wait_until(lambda: server.store.names == ["renamed"])
        assert ask(server, "sums") == 404


def test_another_folder_of_the_same_version_is_loaded(versions, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere")
    save_sums(other / "3", offset=100.0)
    with running(None, source=ConfigFile(write(versions, entry()))) as server:
        assert ask(server, "sums") == 34.0
        write(versions, entry(base_path=other))
        wait_until(lambda: ask(server, "sums") == 104.0)


def test_a_wrong_file_changes_nothing_while_it_is_wrong(versions):
    with running(None, source=ConfigFile(write(versions, entry()))) as server:
        write(versions, "config {")
        server.store.look()
        assert ask(server, "sums") == 34.0
        write(versions, entry("renamed", "sums"))
        wait_until(lambda: server.store.names == ["renamed"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "must hold a ModelServerConfig in protobuf's text format"),
        ("", "must have a model_config_list. Received nothing"),
        ("custom_model_config {}", "must have a model_config_list. Received custom_model_config"),
        (listed("config { name: 'a' }"), "needs a name and a base_path"),
        (listed(entry(), entry()), "names the model 'sums' twice"),
        (listed(entry(rest="model_platform: 'other'")), "must be 'tensorflow'"),
        (listed(entry(rest="logging_config {}")), "logging_config is not supported"),
        (listed(entry(rest="model_version_policy { specific {} }")), "must name at least one version"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message):
    file = pathlib.Path(tmp_path / "models.config")
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_config(file)
