"""Pictures of attention."""

from keras_attention.visualization.heatmaps import plot_attention

__all__ = ["plot_attention"]
