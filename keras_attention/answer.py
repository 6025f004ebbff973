"""What an answerer of questions gives back, and what every one has in common."""

from typing import NamedTuple

import numpy as np


class Answer(NamedTuple):
    """The answer to one question.

    Attributes:
        text: the answer, a word of the vocabulary.
        log_prob: natural logarithm of the probability that the model gives to
            it.
        weights: float32 `(hops, sentences)`: how much each hop attended to each
            sentence of the story.
    """

    text: str
    log_prob: float
    weights: np.ndarray


class AnswersQuestions:
    """What every answerer is: callable on stories, over a function on batches.

    Subclasses define `run(**inputs)`, from arrays `(batch, ...)` to a dict of
    `answer`, `log_prob` and `weights`.
    """

    def __call__(self, story, question, batch_size=256):
        """Answers one question, or several.

        Args:
            story: list of sentences, the oldest first; of several questions a
                list of such lists.
            question: a string; of several questions a list of them.
            batch_size: most questions that go through the model at once.

        Returns:
            An `Answer`, or a list of them.

        Raises:
            TypeError: for anything but strings.
            ValueError: for a story without a sentence, or another number of
                stories than of questions.
        """
        is_one = isinstance(question, str)
        stories, questions = ([story], [question]) if is_one else (list(story), list(question))
        if len(stories) != len(questions):
            raise ValueError(
                f"{type(self).__name__}: there must be a story for each question. Received {len(stories)} stories and "
                f"{len(questions)} questions."
            )
        for sentences, asked in zip(stories, questions, strict=True):
            self._check(sentences, asked)
        answers = []
        for begin in range(0, len(questions), batch_size):
            some = stories[begin : begin + batch_size]
            longest = max(map(len, some))
            found = self.run(
                story=np.array([[*sentences, *[""] * (longest - len(sentences))] for sentences in some], object),
                question=np.array(questions[begin : begin + batch_size], object),
            )
            answers += [
                Answer(text.decode("utf-8"), float(log_prob), weights[:, : len(sentences)])
                for text, log_prob, weights, sentences in zip(
                    found["answer"], found["log_prob"], found["weights"], some, strict=True
                )
            ]
        return answers[0] if is_one else answers

    def evaluate(self, stories, batch_size: int = 256):
        """Compares answers with expected ones.

        Args:
            stories: list of `Story`.
            batch_size: as in a call.

        Returns:
            `(accuracy, mistakes)`: a fraction, and a list of
            `(story, received)`.

        Raises:
            ValueError: without a story.
        """
        stories = list(stories)
        if not stories:
            raise ValueError(f"{type(self).__name__}.evaluate: expected at least one story, received none.")
        answers = self([story.sentences for story in stories], [story.question for story in stories], batch_size)
        mistakes = [
            (story, answer.text)
            for story, answer in zip(stories, answers, strict=True)
            if answer.text != story.answer.lower()
        ]
        return 1.0 - len(mistakes) / len(stories), mistakes

    def _check(self, sentences, question):
        owner = type(self).__name__
        if isinstance(sentences, str | bytes):
            raise TypeError(f"{owner}: a story must be a list of sentences. Received the string {sentences!r:.60}.")
        if not isinstance(question, str) or not all(isinstance(sentence, str) for sentence in sentences):
            wrong = next((each for each in [question, *sentences] if not isinstance(each, str)), None)
            raise TypeError(f"{owner}: sentences and questions must be strings. Received {wrong!r:.60}.")
        if not any(sentence.strip() for sentence in sentences):
            raise ValueError(f"{owner}: a story needs a sentence. Received none for the question {question!r:.60}.")
