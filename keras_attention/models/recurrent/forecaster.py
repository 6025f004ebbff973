"""A recurrent model of series."""

import keras

from keras_attention.layers.cells import get_decoder_cell
from keras_attention.layers.layer import serialized
from keras_attention.models.recurrent.decoder import RecurrentDecoder
from keras_attention.models.recurrent.encoder import RecurrentEncoder
from keras_attention.models.series import SeriesToSeries


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentForecaster(SeriesToSeries):
    """A recurrent `SeriesToSeries` with Bahdanau's attention, Luong's, any other, or none.

    Args:
        horizon: steps of a forecast.
        target_dim: number of targets.
        units: width of the decoder's state, and of the encoder's.
        attention: `"bahdanau"`, `"luong"`, None or a `DecoderCell`.
        cell: `"gru"`, `"lstm"` or a `RecurrentCell`; that of the `DecoderCell`
            if one is given.
        layers: recurrent layers of the encoder.
        bidirectional: whether the encoder reads from both ends, with half the
            units each.
        dropout: fraction dropped from the inputs of each layer and before the
            output layer, in training.
        normalize: see `SeriesToSeries`.

    Call args and Returns: see `SeriesToSeries`.

    Example:

    >>> RecurrentForecaster(horizon=6)({"past": np.ones((2, 24, 1))}).shape
    TensorShape([2, 6, 1])

    Reference: Bahdanau et al. 2015; Luong et al. 2015.
    """

    def __init__(
        self,
        horizon,
        target_dim=1,
        units=32,
        attention="bahdanau",
        cell="gru",
        layers=1,
        bidirectional=False,
        dropout=0.0,
        normalize=True,
        **kwargs,
    ):
        policy = kwargs.get("dtype")
        decoder_cell = get_decoder_cell(attention, units, cell=cell, dtype=policy)
        shared = {"dropout": dropout, "dtype": policy}
        encoder = RecurrentEncoder(
            None,
            units // 2 if bidirectional else units,
            cell=decoder_cell.recurrence,
            bidirectional=bidirectional,
            layers=layers,
            name="encoder",
            **shared,
        )
        decoder = RecurrentDecoder(None, decoder_cell, output_dim=target_dim, name="decoder", **shared)
        super().__init__(encoder, decoder, horizon, normalize, **kwargs)
        self.arguments = {
            "horizon": horizon,
            "target_dim": target_dim,
            "units": units,
            "layers": layers,
            "bidirectional": bidirectional,
            "dropout": dropout,
            "normalize": normalize,
        }
        self._attention = attention

    def get_config(self):
        given = self._attention if isinstance(self._attention, str) or self._attention is None else self.decoder.cell
        return super().get_config() | {"attention": serialized(given), "cell": serialized(self.encoder.cell)}
