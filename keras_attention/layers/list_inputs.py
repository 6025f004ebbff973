"""Keras' habit of giving query, value and key to an attention of one head as a list.

`keras.layers.Attention` and `AdditiveAttention` are called as
`layer([query, value])` or `layer([query, value, key])`, with masks in a list too.
"""

from keras_attention.layers.masks import as_bool

NAMES = ("query", "value", "key")


class ListInputs:
    """Mixin, before a Keras layer of query, value and key, which then also takes them as one list.

    What is called is the layer with separate tensors, so that their implicit
    masks arrive as in any other call, and models keep the separate form in
    their files.
    """

    def __call__(self, query, *args, **kwargs):
        if isinstance(query, (list, tuple)):
            return super().__call__(**self._separated(query, *args, **kwargs))
        return super().__call__(query, *args, **kwargs)

    def _separated(self, inputs, mask=None, return_attention_scores=True, **arguments):
        """The keyword arguments of a call with lists."""
        owner = type(self).__name__
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{owner}: a list of inputs must be [query, value] or [query, value, key]. Received a list of "
                f"{len(inputs)}."
            )
        if not return_attention_scores:
            raise ValueError(
                f"{owner}: the weights are always returned, in AttentionOutput(context, weights). Received "
                "return_attention_scores=False. Drop it, and read `.context` of what is returned."
            )
        masks = () if mask is None else mask
        if not isinstance(masks, (list, tuple)) or len(masks) > len(inputs):
            received = f"{len(masks)} masks" if isinstance(masks, (list, tuple)) else f"a mask of shape {mask.shape}"
            raise ValueError(
                f"{owner}: mask must be a list beside that of the inputs, [query_mask, value_mask] or [query_mask, "
                f"value_mask, key_mask]. Received {received} for {len(inputs)} inputs."
            )
        masks = {f"{name}_mask": as_bool(mask) for name, mask in zip(NAMES, masks, strict=False)}
        return dict(zip(NAMES, inputs, strict=False)) | masks | arguments


def separate_shapes(query_shape, value_shape=None, key_shape=None):
    """Shapes of query, value and key from the arguments of a method that may have received one list of them."""
    if value_shape is None:
        query_shape, value_shape, *rest = query_shape
        key_shape = rest[0] if rest else None
    return tuple(query_shape), tuple(value_shape), tuple(value_shape if key_shape is None else key_shape)
