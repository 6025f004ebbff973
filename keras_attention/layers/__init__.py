"""Reusable Keras layers: attention, masks, positions, recurrent decoders."""

import keras  # noqa: F401 - first of all: it registers the other packages before this one goes on

from keras_attention.layers.attention import Attention, BahdanauAttention, LuongAttention
from keras_attention.layers.attention_layer import AttentionLayer
from keras_attention.layers.attention_rnn import AttentionRNN
from keras_attention.layers.blockwise import blockwise_attention
from keras_attention.layers.bridge import Bridge
from keras_attention.layers.cells import BahdanauCell, LuongCell, PlainCell, get_decoder_cell
from keras_attention.layers.chunked import chunked_attention
from keras_attention.layers.core import AttentionOutput, AttentionRead, Memory, attend, masked_softmax
from keras_attention.layers.decoder_cell import DecoderCell, RecurrentOutput
from keras_attention.layers.feed_forward import FeedForward, Residual
from keras_attention.layers.gnmt_cell import GNMTCell
from keras_attention.layers.interaction_score import InteractionScore
from keras_attention.layers.keras_recurrent import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    SimpleRNN,
    TimeDistributed,
)
from keras_attention.layers.kv_cache import KVCache
from keras_attention.layers.local import LocalAttention, LocationAttention, MonotonicAttention
from keras_attention.layers.masks import Pattern, alibi_slopes, causal_mask, combine_masks, padding_mask, window_mask
from keras_attention.layers.multi_head import MultiHeadAttention
from keras_attention.layers.pooling import AttentionPooling
from keras_attention.layers.positions import LearnedPositions, PositionalEncoding, rotary, sinusoid
from keras_attention.layers.recurrent import (
    FeedForwardCell,
    GRUCell,
    LSTMCell,
    RecurrentCell,
    get_recurrent_cell,
    run_recurrence,
)
from keras_attention.layers.scores import (
    AdditiveScore,
    DotScore,
    FunctionScore,
    GeneralScore,
    ReducedRankScore,
    Score,
    get_score,
    register_score,
)
from keras_attention.layers.self_attention import MultiHeadSelfAttention
from keras_attention.layers.transformer import DecoderBlock, EncoderBlock
from keras_attention.layers.turing_machine import TuringMachine, TuringMachineCell, TuringMachineOutput
from keras_attention.layers.unroll import unroll

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdditiveScore",
    "Attention",
    "AttentionLayer",
    "AttentionOutput",
    "AttentionPooling",
    "AttentionRNN",
    "AttentionRead",
    "BahdanauAttention",
    "BahdanauCell",
    "Bidirectional",
    "Bridge",
    "DecoderBlock",
    "DecoderCell",
    "DotScore",
    "EncoderBlock",
    "FeedForward",
    "FeedForwardCell",
    "FunctionScore",
    "GNMTCell",
    "GRUCell",
    "GeneralScore",
    "InteractionScore",
    "KVCache",
    "LSTMCell",
    "LearnedPositions",
    "LocalAttention",
    "LocationAttention",
    "LuongAttention",
    "LuongCell",
    "Memory",
    "MonotonicAttention",
    "MultiHeadAttention",
    "MultiHeadSelfAttention",
    "Pattern",
    "PlainCell",
    "PositionalEncoding",
    "RecurrentCell",
    "RecurrentOutput",
    "ReducedRankScore",
    "Residual",
    "Score",
    "SimpleRNN",
    "TimeDistributed",
    "TuringMachine",
    "TuringMachineCell",
    "TuringMachineOutput",
    "alibi_slopes",
    "attend",
    "blockwise_attention",
    "causal_mask",
    "chunked_attention",
    "combine_masks",
    "get_decoder_cell",
    "get_recurrent_cell",
    "get_score",
    "masked_softmax",
    "padding_mask",
    "register_score",
    "rotary",
    "run_recurrence",
    "sinusoid",
    "unroll",
    "window_mask",
]
