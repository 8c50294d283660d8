"""Recurrent layers: name -> (inputs, steps)."""

X = "{x: {T: 6, C: 4}}"

CASES = {
    "lstm": (X, "- lstm: {units: 3}"),
    "lstm_last": (X, "- lstm: {units: 3, returns: last}\n- linear: {features: 2}"),
    "lstm_both": (X, "- lstm: {units: 3, bidirectional: true}\n- linear: {features: 2}"),
    "lstm_both_last": (X, "- lstm: {units: 3, bidirectional: true, returns: last}"),
    "lstm_no_bias": (X, "- lstm: {units: 3, bias: false}"),
    "lstm_init": (
        X,
        "- lstm: {units: 3, init: normal(0.1), recurrent_init: orthogonal, bidirectional: true}",
    ),
    "lstm_twice": (X, "- lstm: {units: 5}\n- lstm: {units: 3, returns: last}"),
    "lstm_columns": (
        "{x: {C: 3, H: 4, W: 5}}",
        "- conv: {channels: 4}\n- lstm: {units: 3, over: W}\n- conv: {channels: 2}",
    ),
    "lstm_rows_last": (
        "{x: {C: 3, H: 4, W: 5}}",
        "- lstm: {units: 3, over: H, bidirectional: true, returns: last}\n- linear: {features: 2}",
    ),
    "gru": (X, "- gru: {units: 3}"),
    "gru_last": (X, "- gru: {units: 3, returns: last}"),
    "gru_both": (X, "- gru: {units: 3, bidirectional: true}"),
    "gru_both_last": (X, "- gru: {units: 3, bidirectional: true, returns: last}\n- linear: {features: 2}"),
    "gru_no_bias": (X, "- gru: {units: 3, bias: false}"),
    "gru_words": (
        "{x: {axes: {N: 2, T: 6}, dtype: int32}}",
        "- embedding: {count: 9, features: 4}\n- gru: {units: 3, returns: last}\n- mean: {over: N}",
    ),
}
