"""How a recipe trains: a record for each, whose fields are also the flags of `keras-attention train`.

Nothing here needs TensorFlow, so that the command line answers before it is there.
"""

import dataclasses
from dataclasses import dataclass

# Architectures of published models, and weights of an export to CTranslate2.
ARCHITECTURES = ("marian", "m2m100", "nllb", "mbart", "tutorial-transformer", "keras-recurrent")
QUANTIZATIONS = ("int8", "int16", "float16", "bfloat16")

# Of the weights of a SavedModel: those that TensorFlow computes fast in.
DTYPES = ("float32", "bfloat16")

# What sacrebleu calls its ways to divide text into words.
BLEU_TOKENIZATIONS = ("13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "flores101", "flores200", "none")


def natural(text):
    """An integer of at least zero."""
    number = int(text)
    if number < 0:
        raise ValueError(f"must be at least 0, received {number}")
    return number


def _setting(default, help, flag=None, type=None, **more):
    """A field, and what the command line says of it.

    Args:
        default: what the field is if nothing is said.
        help: what the command line says of the flag.
        flag: what the flag is called, if not as the field.
        type: what the flag's text becomes, where the default does not tell.
        **more: further arguments of `add_argument`, such as `choices`.
    """
    return dataclasses.field(default=default, metadata={"help": help, "flag": flag, "type": type, **more})


class Settings:
    """Base of the records."""

    @classmethod
    def names(cls):
        """The names of the fields."""
        return [field.name for field in dataclasses.fields(cls)]

    @classmethod
    def of(cls, settings, given):
        """A record with some fields replaced.

        Args:
            settings: the record; None has the defaults.
            given: dict of fields.

        Raises:
            TypeError: for a name that is no field; it lists those that are.
        """
        unknown = sorted(set(given) - set(cls.names()))
        if unknown:
            raise TypeError(f"{cls.__name__}: it has {', '.join(cls.names())}. Received {', '.join(unknown)}.")
        return dataclasses.replace(settings or cls(), **given)


@dataclass(frozen=True)
class ConverterSettings(Settings):
    """How a converter of short strings is trained.

    Attributes:
        epochs: passes over the pairs; 0 is as many as make 3,000 updates, but at
            least 3, of which those are left out that follow two in a row without
            a mistake on the validation pairs.
        batch_size: pairs in an update.
        learning_rate: peak learning rate of the schedule.
        seed: random seed of the weights and the order of the pairs.
    """

    epochs: int = _setting(3, "number of training epochs; 0 chooses it by the number of pairs", type=int)
    batch_size: int = _setting(128, "batch size")
    learning_rate: float = _setting(4e-3, "peak learning rate")
    seed: int = _setting(0, "random seed of data, weights and order")


@dataclass(frozen=True)
class WorldDatesSettings(Settings):
    """How the converter of the dates of all locales is trained.

    Attributes:
        count: pairs that are generated, of which each update takes some.
        updates: number of training updates.
        tokens: positions in a batch; see `TokenBatches`.
        learning_rate: peak learning rate of the schedule.
        round_updates: updates between two saves.
        measured: pairs that are measured after each round.
        seed: random seed of data, weights and order.
    """

    count: int = _setting(3_000_000, "number of training pairs to generate")
    updates: int = _setting(20_000, "number of training updates")
    tokens: int = _setting(6144, "batch size in tokens, padding included")
    learning_rate: float = _setting(2e-3, "peak learning rate")
    round_updates: int = _setting(500, "updates between two checkpoints")
    measured: int = _setting(4000, "number of validation pairs")
    seed: int = _setting(0, "random seed of data, weights and order")


@dataclass(frozen=True)
class AnswererSettings(Settings):
    """How an answerer of questions is trained.

    Attributes:
        epochs: passes over the questions, after those of the linear start.
        batch_size: questions in an update.
        learning_rate: learning rate of the first epochs; half of it with a linear start, as
            the authors have it.
        halve_every: epochs, after the linear start, after which the learning
            rate is halved, again and again.
        linear_epochs: epochs of the linear start, in which the attention has no
            softmax; 0 has none.
        clip_norm: largest norm of a gradient, of each weight by itself.
        restarts: how many models are trained, of which the best on the
            validation questions is the result.
        seed: random seed of weights, order and noise; that of the first model.

    Reference: Sukhbaatar et al. 2015, "End-To-End Memory Networks", 4.2.
    """

    epochs: int = _setting(100, "number of training epochs after the linear start")
    batch_size: int = _setting(32, "batch size")
    learning_rate: float = _setting(0.01, "initial learning rate; half of it with a linear start")
    halve_every: int = _setting(25, "epochs between two halvings of the learning rate")
    linear_epochs: int = _setting(20, "epochs of the linear start, without the softmax; 0 for none", type=natural)
    clip_norm: float = _setting(40.0, "maximum gradient norm")
    restarts: int = _setting(1, "number of restarts; the best on the validation questions is kept")
    seed: int = _setting(0, "random seed of data, weights, order and noise")


@dataclass(frozen=True)
class MachineSettings(Settings):
    """How a Turing machine is trained to compute an algorithm.

    Attributes:
        updates: how many, at most; it ends when `patience` rounds had no wrong
            bit.
        batch_size: sequences in an update.
        learning_rate: learning rate of Adam.
        clip_norm: largest global norm of the gradient, of a loss that is summed
            over a sequence.
        round_updates: updates in a round.
        patience: rounds without a wrong bit in the sequences that are measured,
            one after another, after which it ends.
        measured: sequences that are measured after each round.
        seed: random seed of weights and sequences.

    Reference: Collier and Beel 2018, "Implementing Neural Turing Machines".
    """

    updates: int = _setting(31_250, "maximum number of training updates")
    batch_size: int = _setting(32, "batch size")
    learning_rate: float = _setting(1e-3, "learning rate of Adam")
    clip_norm: float = _setting(50.0, "maximum gradient norm")
    round_updates: int = _setting(500, "updates between two checkpoints")
    patience: int = _setting(10, "error-free rounds after which training stops")
    measured: int = _setting(640, "number of validation sequences")
    seed: int = _setting(0, "random seed of weights and sequences")


@dataclass(frozen=True)
class RecommenderSettings(Settings):
    """How a recommender is trained.

    Attributes:
        epochs: passes over the histories, at most.
        batch_size: histories in an update.
        learning_rate: learning rate of Adam, with 0.98 for the second moments, as in the
            paper.
        weight_decay: weight decay of Adam.
        negatives: other items that a batch compares with those that came, in a
            crossentropy.
        patience: epochs without a better result, `val_ndcg`, after which it ends.
        measured: most users, drawn at random, whose validation items are ranked
            after each epoch.
        sampled: among how many items, drawn at random, they are ranked; 0 is all
            items, see `Recommender.evaluate`.
        seed: random seed of weights, order and negatives.

    Reference: Kang and McAuley 2018, "Self-Attentive Sequential
        Recommendation", 3.6, which has one negative for each item.
    """

    epochs: int = _setting(100, "maximum number of training epochs")
    batch_size: int = _setting(128, "batch size")
    learning_rate: float = _setting(1e-3, "learning rate of Adam")
    weight_decay: float = _setting(0.0, "weight decay of AdamW")
    negatives: int = _setting(200, "number of negative items per batch")
    patience: int = _setting(10, "early stopping: epochs without improvement")
    measured: int = _setting(2000, "maximum number of users to validate on after each epoch")
    sampled: int = _setting(0, "rank validation items among so many random items; 0 ranks them among all")
    seed: int = _setting(0, "random seed of weights, order and negatives")


@dataclass(frozen=True)
class TranslatorSettings(Settings):
    """How a translator is trained.

    Attributes:
        updates: number of training updates.
        tokens: positions in a batch; see `TokenBatches`.
        optimizer: `"adam"`, or `"muon"`, whose loss falls faster at first; see
            `keras_attention.training.Muon`.
        learning_rate: peak learning rate of the schedule. Defaults to the paper's,
            `(units * warmup)**-0.5`.
        warmup: updates until then.
        cooldown: updates at the end over which the rate falls to zero; none
            by default, as in the paper.
        label_smoothing: see `MaskedCrossentropy`.
        clip_norm: largest global norm of a gradient; None does not clip.
        ema_momentum: if given, an exponential moving average of the weights is
            kept by Keras' optimizer, and takes the place of that mean.
        round_updates: updates in a round; one pass over the pairs by default.
        average: rounds around the best whose weights are averaged at the end.
            The result is that mean or the best round, whichever is better on
            the validation pairs.
        patience: rounds without a better result after which it ends; None
            goes on. The result is `val_loss`, or BLEU if that is measured.
        measure_bleu: whether to translate the validation pairs after each
            round, greedily, and measure `val_bleu`.
        bleu_tokenize: see `keras_attention.bleu.corpus_scores`.
        max_length, max_ratio: limits of the pairs; see `TokenBatches`.
        subword_dropout: see `TokenBatches`.
        seed: random seed of the order of the pairs.

    Reference: Vaswani et al. 2017, 5 and 6.1.
    """

    updates: int = _setting(8000, "number of training updates")
    tokens: int = _setting(4096, "batch size in tokens, padding included")
    optimizer: str = _setting("adam", "optimizer", choices=("adam", "muon"))
    learning_rate: float | None = _setting(None, "peak learning rate (default: (units * warmup) ** -0.5)", type=float)
    warmup: int = _setting(4000, "warm-up updates")
    cooldown: int = _setting(0, "final updates over which the learning rate decays to zero")
    label_smoothing: float = _setting(0.1, "label smoothing")
    clip_norm: float | None = _setting(25.0, "maximum gradient norm")
    ema_momentum: float | None = _setting(
        None,
        "momentum of an exponential moving average of the weights, used instead of averaging",
        flag="ema",
        type=float,
    )
    round_updates: int | None = _setting(None, "updates between two checkpoints (default: one epoch)", type=int)
    average: int = _setting(10, "checkpoints around the best to average, if that is better")
    patience: int | None = _setting(10, "early stopping: rounds without improvement")
    measure_bleu: bool = _setting(False, "measure BLEU after each round and use it for early stopping", flag="bleu")
    bleu_tokenize: str | None = _setting(
        None, "sacrebleu tokenizer (default: chosen by script)", type=str, choices=BLEU_TOKENIZATIONS
    )
    max_length: int = _setting(256, "maximum sentence length in tokens; longer pairs are skipped")
    max_ratio: float | None = _setting(None, "maximum length ratio of a pair; others are skipped", type=float)
    subword_dropout: float = _setting(0.0, "BPE-dropout rate; 0.1 in the paper")
    seed: int = _setting(0, "random seed of weights and order")
