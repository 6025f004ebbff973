"""A model of series of a Transformer's blocks."""

import keras

from keras_attention.models.presets import split_options
from keras_attention.models.series import SeriesToSeries
from keras_attention.models.transformer.stack import STACK_OPTIONS
from keras_attention.models.transformer.stacks import TransformerDecoder, TransformerEncoder


@keras.saving.register_keras_serializable(package="keras_attention")
class TransformerForecaster(SeriesToSeries):
    """A `SeriesToSeries` of a Transformer's blocks.

    Args:
        horizon: steps of a forecast.
        target_dim: number of targets.
        units: width of the model.
        layers: blocks of the encoder, and of the decoder.
        num_heads: attention heads of a block.
        feed_forward_units: width of the hidden layer of a block.
        dropout: see `TransformerEncoder`.
        normalize: see `SeriesToSeries`.
        **options: others of `TransformerEncoder`, such as `positions`.

    Call args and Returns: see `SeriesToSeries`.

    Example:

    >>> TransformerForecaster(horizon=6)({"past": np.ones((2, 24, 1))}).shape
    TensorShape([2, 6, 1])

    Reference: Vaswani et al. 2017; Wu et al. 2020, "Deep Transformer Models for
        Time Series Forecasting".
    """

    def __init__(
        self,
        horizon,
        target_dim=1,
        units=32,
        layers=1,
        num_heads=4,
        feed_forward_units=64,
        dropout=0.0,
        normalize=True,
        **options,
    ):
        options, more = split_options(options, STACK_OPTIONS)
        policy = more.get("dtype")
        sizes = {
            "layers": layers,
            "num_heads": num_heads,
            "feed_forward_units": feed_forward_units,
            "dropout": dropout,
            **options,
        }
        encoder, decoder = (
            make(keras.layers.Dense(units, dtype=policy), dtype=policy, **sizes, **given)
            for make, given in (
                (TransformerEncoder, {"name": "encoder"}),
                (TransformerDecoder, {"name": "decoder", "output_dim": target_dim}),
            )
        )
        super().__init__(encoder, decoder, horizon, normalize, **more)
        self.arguments = {
            "horizon": horizon,
            "target_dim": target_dim,
            "units": units,
            "normalize": normalize,
            **sizes,
        }
