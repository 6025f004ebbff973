"""The public names and where each is defined: for editors, and for `__init__.py`, which imports what is used."""

from . import (
    bleu as bleu,
    data as data,
    dates as dates,
    decoding as decoding,
    export as export,
    layers as layers,
    models as models,
    pretrained as pretrained,
    recipes as recipes,
    serving as serving,
    tasks as tasks,
    testing as testing,
    text as text,
    training as training,
    visualization as visualization,
)
from .decoding import (
    Beam as Beam,
    Greedy as Greedy,
    Sample as Sample,
)
from .layers import (
    Attention as Attention,
    AttentionPooling as AttentionPooling,
    AttentionRNN as AttentionRNN,
    BahdanauAttention as BahdanauAttention,
    BahdanauCell as BahdanauCell,
    DecoderBlock as DecoderBlock,
    EncoderBlock as EncoderBlock,
    LearnedPositions as LearnedPositions,
    LocalAttention as LocalAttention,
    LocationAttention as LocationAttention,
    LuongAttention as LuongAttention,
    LuongCell as LuongCell,
    MonotonicAttention as MonotonicAttention,
    MultiHeadAttention as MultiHeadAttention,
    MultiHeadSelfAttention as MultiHeadSelfAttention,
    PlainCell as PlainCell,
    PositionalEncoding as PositionalEncoding,
    causal_mask as causal_mask,
    combine_masks as combine_masks,
    padding_mask as padding_mask,
    window_mask as window_mask,
)
from .models import (
    DateConverter as DateConverter,
    EncoderDecoder as EncoderDecoder,
    GNMTTranslator as GNMTTranslator,
    LanguageModel as LanguageModel,
    MemoryNetwork as MemoryNetwork,
    RecurrentForecaster as RecurrentForecaster,
    SASRec as SASRec,
    RecurrentTranslator as RecurrentTranslator,
    TransformerForecaster as TransformerForecaster,
    TransformerTranslator as TransformerTranslator,
    VanillaSeq2Seq as VanillaSeq2Seq,
)
from .tasks import (
    DateReader as DateReader,
    Forecaster as Forecaster,
    QuestionAnswerer as QuestionAnswerer,
    Recommender as Recommender,
    Task as Task,
    TextGenerator as TextGenerator,
    TextToText as TextToText,
    load as load,
)
from .text import (
    CharacterTokenizer as CharacterTokenizer,
    SentencePieceTokenizer as SentencePieceTokenizer,
    WordPieceTokenizer as WordPieceTokenizer,
    WordTokenizer as WordTokenizer,
)
from .visualization import (
    attention_page as attention_page,
    plot_attention as plot_attention,
)

__version__: str
