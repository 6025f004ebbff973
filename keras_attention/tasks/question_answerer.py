"""From a story and a question to the answer."""

from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_attention.answer import AnswersQuestions
from keras_attention.export.saved_answerer import SavedAnswerer
from keras_attention.tasks.task import Task
from keras_attention.tasks.text import check_vocabulary, described_tokenizer, load_tokenizer

_SIDE = "story"


class QuestionAnswerer(AnswersQuestions, Task):
    """Answers questions about stories with a memory network.

    Args:
        model: a `MemoryNetwork`.
        tokenizer: tokenizer of the words; its vocabulary has the answers.

    Call args and Returns: see `AnswersQuestions`.

    Raises:
        ValueError: if vocabulary and model differ in size.

    Example, with a model that is not trained yet:

    >>> tokenizer = WordTokenizer.train(["Mary moved to the bathroom.", "Where is Mary?"])
    >>> answerer = QuestionAnswerer(MemoryNetwork(len(tokenizer.vocabulary), units=4, hops=2), tokenizer)
    >>> answer = answerer(["Mary moved to the bathroom."], "Where is Mary?")
    >>> answer.weights.shape
    (2, 1)
    """

    input_specs: ClassVar = {
        "story": tf.TensorSpec([None, None], tf.string),
        "question": tf.TensorSpec([None], tf.string),
    }
    saved_class = SavedAnswerer

    def __init__(self, model, tokenizer):
        check_vocabulary("QuestionAnswerer", model.vocabulary_size, tokenizer, "word")
        super().__init__(model)
        self.tokenizer = tokenizer

    def compute(self, story, question):
        """The whole line, in graph.

        Args:
            story: sentences, `(batch, sentences)`, the oldest first; an empty
                one is none.
            question: `(batch,)`.

        Returns:
            Dict of `answer` `(batch,)`, `log_prob` `(batch,)`, and `weights`
            `(batch, hops, sentences)`.
        """
        words = self._ids(tf.reshape(story, [-1]))
        inputs = {
            "story": tf.reshape(words, [tf.shape(story)[0], tf.shape(story)[1], tf.shape(words)[1]]),
            "question": self._ids(question),
        }
        logits, weights = self.model.attend(inputs)
        vocabulary = self.tokenizer.vocabulary
        no_answer = [vocabulary.pad_id, vocabulary.unknown_id, vocabulary.start_id, vocabulary.end_id]
        barred = np.zeros(len(vocabulary), "float32")
        barred[no_answer] = -np.inf
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        best = tf.argmax(log_probs + barred, axis=-1, output_type=tf.int32)
        return {
            "answer": vocabulary.tokens_of(best),
            "log_prob": tf.gather(log_probs, best, batch_dims=1),
            "weights": tf.ensure_shape(tf.cast(weights, tf.float32), [None, self.model.hops, None]),
        }

    def _ids(self, texts):
        """Ids of the words of each text, `(texts, words)`, of at least one column."""
        ids = self.tokenizer.encode(texts).to_tensor(self.tokenizer.vocabulary.pad_id)
        return tf.pad(ids, [[0, 0], [0, tf.cast(tf.shape(ids)[1] == 0, tf.int32)]])

    @property
    def settings(self):
        return {"tokenizer": described_tokenizer(self.tokenizer)}

    def save_files(self, folder):
        self.tokenizer.save(folder, _SIDE)

    @classmethod
    def load_files(cls, folder, settings):
        return {"tokenizer": load_tokenizer(cls.__name__, folder, _SIDE, **settings["tokenizer"])}

    @property
    def tables(self):
        return [self.tokenizer.vocabulary.resource]

    @property
    def files(self):
        return self.tokenizer.files

    def for_export(self, folder):
        """The same with a tokenizer that is read from a file in `folder`."""
        self.save_files(folder)
        return type(self)(self.model, **self.load_files(folder, self.settings))

    def checks(self, examples=()):
        """Stories of several lengths together, one alone, unknown words, an empty question; and the examples."""
        words = [token for token in self.tokenizer.vocabulary.tokens[4:]][:12] or ["word"]

        def request(*stories):
            longest = max(map(len, stories))
            rows = [[*story, *[""] * (longest - len(story))] for story in stories]
            questions = [words[index % len(words)] for index in range(len(stories))]
            return {"story": np.array(rows, object), "question": np.array(questions, object)}

        long = [" ".join(words[index % len(words) :]) for index in range(60)]
        odd = request(["한 word", "\U0001f600"], [words[0]])
        return [request(long[:3]), request(long[:1], long[:5], long), odd | {"question": np.array(["", "?"], object)},
                *examples]  # fmt: skip
