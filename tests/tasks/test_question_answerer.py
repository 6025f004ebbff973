"""Stories and questions: read, learned, answered, saved, exported, refused."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from keras_attention import MemoryNetwork, QuestionAnswerer, WordTokenizer, cli, load
from keras_attention.data import Story, make_story_arrays, read_stories
from keras_attention.data.stories import hold_out
from keras_attention.recipes import train_answerer

PEOPLE, PLACES = ("Mary", "John", "Sandra"), ("bathroom", "hallway", "garden", "kitchen")


def written(folder, name, count, seed):
    """A file of stories in the form of bAbI's first task."""
    generator = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        where = {}
        for number in range(1, 7):
            if number % 3 == 0:
                person = generator.choice(list(where))
                lines.append(f"{number} Where is {person}? \t{where[person]}\t1")
            else:
                person, place = generator.choice(PEOPLE), generator.choice(PLACES)
                where[person] = place
                lines.append(f"{number} {person} {generator.choice(['moved', 'went'])} to the {place}.")
    path = folder / name
    with gzip.open(path, "wt") if path.suffix == ".gz" else open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of an answerer of such questions."""
    folder = tmp_path_factory.mktemp("questions")
    tf.config.run_functions_eagerly(False)
    arguments = ["--epochs", 12, "--linear-epochs", 4, "--hops", 2, "--learning-rate", 0.04, "--restarts", 2]
    file = written(folder, "stories.txt.gz", 250, seed=0)
    assert cli.main(["train", "questions", str(file), "--run", str(folder / "run"), *map(str, arguments)]) == 0
    return folder / "run"


def test_questions_about_what_it_never_read_are_answered(run, tmp_path, capsys):
    answer = load(run)(story=["Mary moved to the bathroom.", "John went to the hallway."], question="Where is Mary?")
    assert answer.text == "bathroom"
    assert answer.weights.shape == (2, 2)
    assert answer.weights.sum(0).argmax() == 0
    assert answer.log_prob < 0
    file = written(tmp_path, "others.txt", 60, seed=1)
    assert load(run).evaluate(read_stories(file))[0] > 0.95
    assert cli.main(["evaluate", "--model", str(run), str(file)]) == 0
    assert "of 120 questions" in capsys.readouterr().out


def test_several_questions_are_answered_as_each_alone(run):
    answerer = load(run)
    stories = [["John moved to the garden."], ["Mary went to the kitchen.", "Mary moved to the hallway.", "..."]]
    questions = ["Where is John?", "where is MARY"]
    together = answerer(stories, questions)
    for story, question, answer in zip(stories, questions, together, strict=True):
        alone = answerer(story, question)
        assert answer.text == alone.text
        assert answer.log_prob == pytest.approx(alone.log_prob, abs=1e-4)
        np.testing.assert_allclose(answer.weights, alone.weights, atol=1e-5)
    assert [answer.text for answer in together] == ["garden", "hallway"]


def test_export_has_the_signature_and_answers_as_the_run_does(run, tmp_path):
    assert cli.main(["export", str(run), str(tmp_path / "model")]) == 0
    exported = load(tmp_path / "model")
    signature = exported._signature
    inputs = {name: spec.shape.as_list() for name, spec in signature.structured_input_signature[1].items()}
    assert inputs == {"story": [None, None], "question": [None]}
    outputs = {name: (spec.dtype, spec.shape.as_list()) for name, spec in signature.structured_outputs.items()}
    assert outputs == {
        "answer": (tf.string, [None]),
        "log_prob": (tf.float32, [None]),
        "weights": (tf.float32, [None, 2, None]),
    }
    story = ["Sandra went to the kitchen.", "Sandra moved to the garden."]
    one, other = (answerer(story, "Where is Sandra?") for answerer in (load(run), exported))
    assert one.text == other.text == "garden"
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-4)


def test_story_without_a_sentence_and_what_is_no_story_is_refused(run):
    answerer = load(run)
    for story in ([], ["", " "]):
        with pytest.raises(ValueError, match=r"a story needs a sentence. Received none for the question 'Where\?'"):
            answerer(story, "Where?")
    with pytest.raises(TypeError, match=r"a story must be a list of sentences\. Received the string 'Mary'"):
        answerer("Mary", "Where?")
    with pytest.raises(TypeError, match=r"sentences and questions must be strings\. Received 3"):
        answerer(["Mary", 3], "Where?")
    with pytest.raises(ValueError, match=r"a story for each question\. Received 1 stories and 2 questions"):
        answerer([["Mary"]], ["Where?", "Who?"])
    with pytest.raises(ValueError, match="the model has 9 word ids"):
        QuestionAnswerer(MemoryNetwork(9), answerer.tokenizer)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 Mary went.\nWhere?\tx\n", r"line 2: expected a number and a sentence. Received 'Where\?"),
        ("1 Where is Mary?\thome\t1\n", "line 1: a question needs a sentence before it"),
        ("1 Mary went home.\n2 Where is Mary?\t\n", "line 2: a question needs an answer behind it"),
        ("1 Mary went home.\n", "holds no question"),
    ],
)
def test_file_that_is_none_of_stories_is_refused_by_line(tmp_path, content, message):
    (tmp_path / "file").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_stories(tmp_path / "file")


def test_stories_are_read_from_where_they_begin(tmp_path):
    lines = "1 A b.\n2 Q?\tx,y\t1\n3 C.\n4 R? \tz\t1 3\n1 D.\n2 S?\tx\t1\n"
    (tmp_path / "file").write_text(lines)
    assert read_stories(tmp_path / "file") == [
        Story(["A b."], "Q?", "x,y"),
        Story(["A b.", "C."], "R?", "z"),
        Story(["D."], "S?", "x"),
    ]


def test_answer_that_training_never_saw_is_named():
    tokenizer = WordTokenizer.train(["a b"])
    with pytest.raises(ValueError, match=r"every answer must be in the vocabulary. Received \['elsewhere'\]"):
        make_story_arrays([Story(["a"], "b", "elsewhere")], tokenizer)


def test_of_several_restarts_the_best_is_kept(tmp_path, monkeypatch):
    """The middle one; each restart leaves the number of its seed in a weight, and a result."""
    results = {3: 0.5, 4: 0.9, 5: 0.7}

    def fit(model, arrays, validation, checkpoints, settings, seed, callbacks, verbose):
        model.embeddings[0].assign(np.full(model.embeddings[0].shape, seed))
        checkpoints.history = [{"val_accuracy": results[seed]}]

    monkeypatch.setattr("keras_attention.recipes.answerer._fit_answerer", fit)
    monkeypatch.setattr("keras_attention.recipes.answerer.keep_best", lambda *arguments: "")
    stories = [Story(["Mary left."], "Who?", "mary")]
    answerer = train_answerer(stories, stories, tmp_path, restarts=3, seed=3, units=4, verbose=0)
    for found in (answerer, load(tmp_path)):
        assert found.model.embeddings[0].numpy()[0, 0] == 4


def test_what_a_task_does_not_take_is_told(run, tmp_path, capsys):
    for command in (
        ["export", str(run), str(tmp_path), "--beam", "2"],
        ["evaluate", "--model", str(run), "x", "--beam", "2"],
    ):
        assert cli.main(command) == 1
        assert "QuestionAnswerer.load: it takes no strategy" in capsys.readouterr().err


def test_held_out_questions_are_no_others():
    stories = [Story([str(index)], "q", "a") for index in range(10)]
    kept, held_out = hold_out(stories, 0.2)
    assert len(held_out) == 2 and sorted(kept + held_out) == stories
    with pytest.raises(ValueError, match="leaves nothing on one side"):
        hold_out(stories, 0.01)
