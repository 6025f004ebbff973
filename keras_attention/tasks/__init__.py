"""Tasks: what a person has, through a model, to what a person wants; saved, loaded and exported alike."""

from keras_attention.tasks.date_reader import DateReader
from keras_attention.tasks.forecaster import Forecaster
from keras_attention.tasks.question_answerer import QuestionAnswerer
from keras_attention.tasks.recommender import Recommender
from keras_attention.tasks.task import Task, load
from keras_attention.tasks.text_generator import TextGenerator
from keras_attention.tasks.text_to_text import TextToText

__all__ = ["DateReader", "Forecaster", "QuestionAnswerer", "Recommender", "Task", "TextGenerator", "TextToText", "load"]
