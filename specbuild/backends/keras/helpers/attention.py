"""What Keras lacks for attention: helpers copied into an emitted file that uses them."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="specbuild")
class DroppedAttention(layers.Layer):
    """`attend_some` that drops weights in training."""

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.dropout = layers.Dropout(rate, dtype=self.dtype_policy)

    def call(
        self, query, key, value, bias=None, mask=None, scale=None, is_causal=False
    ):
        return attend_some(
            query, key, value, bias, mask, scale, is_causal, self.dropout
        )

    def get_config(self):
        return {**super().get_config(), "rate": self.dropout.rate}


def attend(query, key, value, bias=None, scale=None):
    """softmax(scale * query key^T + bias) value over the last two axes.

    Leading axes broadcast as in matmul.
    """
    if scale is None:
        scale = query.shape[-1] ** -0.5
    scores = ops.matmul(query * scale, ops.swapaxes(key, -2, -1))
    if bias is not None:
        scores = bias + scores  # second, Keras might take it for a bias of channels
    # TensorFlow's own softmax takes at most five dimensions
    largest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    weights = ops.exp(scores - largest)
    weights = weights / ops.sum(weights, axis=-1, keepdims=True)
    return ops.matmul(weights, value)


def attend_some(
    query, key, value, bias=None, mask=None, scale=None, is_causal=False, dropout=None
):
    """softmax(scale * query key^T + bias) value over the last two axes.

    Leading axes broadcast as in matmul. `mask` is true where a query may look
    at a key; a query that may look at none gives 0. `dropout` is a layer.
    """
    if scale is None:
        scale = query.shape[-1] ** -0.5
    scores = ops.matmul(query * scale, ops.swapaxes(key, -2, -1))
    if bias is not None:
        scores = bias + scores  # second, Keras might take it for a bias of channels
    if is_causal:
        t, s = ops.arange(ops.shape(query)[-2]), ops.arange(ops.shape(key)[-2])
        behind = t[:, None] >= s
        mask = behind if mask is None else ops.logical_and(mask, behind)
    if mask is not None:
        blind = ops.logical_not(ops.any(mask, axis=-1, keepdims=True))
        scores = ops.where(ops.logical_or(mask, blind), scores, -float("inf"))
    # TensorFlow's own softmax takes at most five dimensions
    largest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    weights = ops.exp(scores - largest)
    weights = weights / ops.sum(weights, axis=-1, keepdims=True)
    if mask is not None:
        weights = ops.where(mask, weights, 0.0)
    if dropout is not None:
        weights = dropout(weights)
    return ops.matmul(weights, value)


def masked_attention(query, key, value, mask, bias=None, scale=None, is_causal=False):
    """`ops.dot_product_attention`; a query that may look at no key gives 0."""
    if is_causal:
        t, s = ops.arange(ops.shape(query)[1]), ops.arange(ops.shape(key)[1])
        mask = ops.logical_and(mask, t[:, None] >= s)
    sees = ops.any(mask, axis=-1, keepdims=True)
    if bias is not None:
        shown = ops.logical_or(mask, ops.logical_not(sees))
        mask, bias = None, ops.where(shown, bias, -float("inf"))
    x = ops.dot_product_attention(query, key, value, bias, mask, scale)
    return ops.where(ops.swapaxes(sees, 1, 2), x, 0.0)
