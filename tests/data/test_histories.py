"""Histories: read from files, held out, and in batches that a stopped training goes on with."""

import gzip
import itertools

import numpy as np
import pytest

from keras_attention.data import HistoryBatches, leave_one_out, read_histories

HISTORIES = [[4, 5, 6, 7, 8, 9], [5, 6], [7], [9, 8, 7, 6], [4, 9]]


def write(folder, text, name="choices.txt"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    "text",
    [
        "ada x\nbob y\nada z\n",
        "ada\tx\nbob\ty\nada\tz\n",
        "ada, x\nbob, y\nada, z\n",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\nada\tz\t3\t9e8\nada\tx\t5\t8e8\nbob\ty\t1\t7e8\n",
        "time,item,user\n2,z,ada\n2,y,bob\n1,x,ada\n",
    ],
)
def test_the_forms_of_a_file(tmp_path, text):
    assert read_histories(write(tmp_path, text)) == {"ada": ["x", "z"], "bob": ["y"]}


def test_a_gzipped_file_and_names_with_spaces(tmp_path):
    with gzip.open(tmp_path / "choices.gz", "wt", encoding="utf-8") as file:
        file.write("Ada Lovelace\tThe Third Man (1949)\n")
    assert read_histories(tmp_path / "choices.gz") == {"Ada Lovelace": ["The Third Man (1949)"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line"),
        ("ada x\nbob\n", r"line 2: expected a user and an item\. Received 'bob'"),
        ("ada\tx\n\ty\n", "line 2: expected a user and an item"),
        ("user\titem\ttime\na\tb\tnoon\n", "line 2: a time must be a number. Received 'noon'"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_histories(write(tmp_path, text))


def test_the_last_two_items_are_held_out():
    learned, validation, test = leave_one_out({"a": ["1", "2", "3"], "b": ["1", "2"]})
    assert learned == {"a": ["1"], "b": ["1", "2"]}
    assert [(each.history, each.item) for each in (*validation, *test)] == [(["1"], "2"), (["1", "2"], "3")]
    assert test[0].seen == ["1"]


def batches(**arguments):
    return HistoryBatches(
        HISTORIES, None, 10, **({"max_length": 3, "batch_size": 2, "negatives": 50, "seed": 1} | arguments)
    )


def some(batches, count, start=0):
    return [
        (inputs["history"].numpy(), inputs["next"].numpy(), inputs["negatives"].numpy())
        for inputs, _, _ in batches.dataset(start).take(count)
    ]


def test_every_history_of_two_is_learned_once_an_epoch_each_item_with_the_one_before():
    learned = set()
    for history, following, negatives in some(batches(), batches().steps_per_epoch):
        for items, after in zip(history, following, strict=True):
            learned.update((a, b) for a, b in zip(items.tolist(), after.tolist(), strict=True) if b)
            assert not (items[after == 0]).any()
        assert set(negatives.tolist()) <= set(range(4, 10))
    assert learned == {pair for items in HISTORIES for pair in itertools.pairwise(items[-4:])}


def test_a_stopped_training_goes_on_with_the_same_batches():
    whole = some(batches(), 7)
    for one, other in zip(some(batches(), 4, start=3), whole[3:], strict=True):
        for received, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(received, expected)


def test_a_part_of_a_history_and_the_item_after_it():
    found = set()
    for history, following, _ in some(batches(every_position=False), 40):
        for items, (after,) in zip(history.tolist(), following.tolist(), strict=True):
            found.add((tuple(item for item in items if item), after))
    assert {((4, 5, 6), 7), ((5, 6, 7), 8), ((6, 7, 8), 9), ((4,), 5), ((9, 8, 7), 6)} <= found


@pytest.mark.parametrize("every_position", [True, False])
def test_items_that_a_batch_learns_in_the_mean_of_an_epoch(every_position):
    some_batches = batches(every_position=every_position, batch_size=3)
    learned = [counts.numpy().sum() for _, _, counts in some_batches.dataset().take(some_batches.steps_per_epoch)]
    assert len(set(learned)) > 1
    assert some_batches.learned_per_batch == pytest.approx(np.mean(learned))


def test_users_come_along():
    with_users = HistoryBatches(HISTORIES, [4, 5, 6, 7, 8], 10, 3, batch_size=4, negatives=3)
    inputs, _, _ = next(iter(with_users.dataset()))
    assert sorted(inputs["user"].numpy().tolist()) == [4, 5, 7, 8]


def test_no_history_of_two_items_is_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        HistoryBatches([[4], []], None, 10, 3)
