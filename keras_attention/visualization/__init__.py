"""Pictures of attention."""

from keras_attention.visualization.explorer import attention_page
from keras_attention.visualization.heatmaps import plot_attention

__all__ = ["attention_page", "plot_attention"]
