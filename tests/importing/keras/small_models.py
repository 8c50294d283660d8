"""Keras models as users write them, for the comparison with what they become."""

from __future__ import annotations

from typing import Any


def make_residual_net() -> Any:
    """A net whose layers have no names of their own: residual blocks are parts that come again."""
    import keras
    from keras import layers

    x = image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    for channels, stride in ((8, 1), (16, 2), (16, 1)):
        y = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.BatchNormalization(momentum=0.9)(y)
        y = layers.ReLU()(y)
        y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization(momentum=0.9)(y)
        if stride > 1:
            x = layers.Conv2D(channels, 1, strides=stride)(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="head")(x), name="residual_net")


def make_unet() -> Any:
    """Convolutions transposed and depthwise, pooling of all kinds, and values that skip."""
    import keras
    from keras import layers

    image = keras.Input((16, 16, 4), name="image")
    first = layers.Conv2D(6, 3, padding="same", activation="gelu", name="enc1_conv")(image)
    x = layers.MaxPooling2D(3, 2, padding="same")(first)
    x = layers.SeparableConv2D(8, 3, padding="same", activation="silu", name="mid_sep")(x)
    second = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="mid_dw")(x)
    x = layers.AveragePooling2D(2, padding="same")(second)
    x = layers.GroupNormalization(4, name="mid_norm")(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", name="up1")(x)
    x = layers.Concatenate()([x, second])
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Conv2DTranspose(6, 2, strides=2, name="up0")(layers.MaxPooling2D()(x))
    x = layers.Concatenate()(
        [layers.ZeroPadding2D(((1, 0), (2, 1)))(x), layers.ZeroPadding2D(((1, 0), (2, 1)))(first)]
    )
    x = layers.Cropping2D(((1, 0), (1, 2)))(x)
    x = layers.PReLU(shared_axes=[1, 2], name="act")(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    return keras.Model(image, layers.Conv2D(2, 1, name="mask")(x), name="unet")


def make_transformer() -> Any:
    """Tokens, positions, attention that is causal, and recurrent layers in both directions."""
    import keras
    from keras import layers

    tokens = keras.Input((9,), dtype="int32", name="tokens")
    features = keras.Input((9, 12), name="features")
    x = layers.Embedding(20, 12, name="embed")(tokens) + features
    for i in range(2):
        y = layers.LayerNormalization(epsilon=1e-6, name=f"block{i}_norm1")(x)
        y = layers.MultiHeadAttention(3, 4, name=f"block{i}_attention")(y, y, use_causal_mask=True)
        x = layers.Add(name=f"block{i}_add1")([x, y])
        y = layers.LayerNormalization(epsilon=1e-6, name=f"block{i}_norm2")(x)
        y = layers.Dense(24, activation="gelu", name=f"block{i}_mlp1")(y)
        y = layers.Dense(12, name=f"block{i}_mlp2")(y)
        x = layers.Add(name=f"block{i}_add2")([x, y])
    sequence = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both")(x)
    last = layers.GRU(6, name="last")(sequence)
    return keras.Model(
        [tokens, features],
        [layers.Dense(3, name="tags")(sequence), layers.Dense(2, activation="sigmoid", name="score")(last)],
        name="transformer",
    )


def make_sequential() -> Any:
    """A Sequential model with a model in it that is used as a layer."""
    import keras
    from keras import layers

    base = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(4, 3, dilation_rate=2, activation="relu"),
            layers.BatchNormalization(scale=False),
            layers.Conv2D(4, 3, groups=2, padding="same"),
        ],
        name="base",
    )
    return keras.Sequential(
        [base, layers.Flatten(), layers.Dense(4, activation="relu"), layers.Dense(2)], name="small"
    )


def make_siamese() -> Any:
    """One encoder for two images: its weights are used twice."""
    import keras
    from keras import layers

    x = image = keras.Input((8, 8, 3))
    for i in range(2):
        x = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{i}")(x)
    encoder = keras.Model(image, layers.GlobalMaxPooling2D()(x), name="encoder")
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    x = layers.Concatenate()([encoder(left), encoder(right)])
    return keras.Model([left, right], layers.Dense(1, name="same")(x), name="siamese")
