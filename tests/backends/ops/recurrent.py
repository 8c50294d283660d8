"""Recurrent layers: name -> (inputs, steps)."""

X = "{x: {T: 6, C: 4}}"
LENGTHS = "{x: {T: 6, C: 4}, n: {axes: {}, dtype: int32}}"
MASK = "{x: {T: 6, C: 4}, m: {axes: {T: 6}, dtype: bool}}"

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
    "rnn": (X, "- rnn: {units: 3}"),
    "rnn_both_last": (X, "- rnn: {units: 3, activation: relu, bidirectional: true, returns: last}"),
    "lstm_lengths": (LENGTHS, "- lstm: {units: 3, bidirectional: true, lengths: n}\n- linear: {features: 2}"),
    "lstm_lengths_last": (LENGTHS, "- lstm: {units: 3, bidirectional: true, lengths: n, returns: last}"),
    "gru_lengths": (LENGTHS, "- gru: {units: 3, lengths: n}\n- gru: {units: 2, returns: last}"),
    "gru_lengths_last": (LENGTHS, "- gru: {units: 3, lengths: n, returns: last}"),
    "lstm_mask": (MASK, "- lstm: {units: 3, mask: m}\n- lstm: {units: 3}"),
    "gru_mask_both": (MASK, "- gru: {units: 3, bidirectional: true, mask: m}\n- softmax: {over: T}"),
    "rnn_mask_last": (MASK, "- rnn: {units: 3, bidirectional: true, mask: m, returns: last}"),
    "lstm_states": (
        LENGTHS,
        "- lstm: {units: 3, lengths: n, returns: all}\n  as: encoder\n"
        "- lstm: {units: 3, initial_h: encoder.h, initial_c: encoder.c}\n  from: x\n"
        "- add: [encoder.sequence, prev]",
    ),
    "lstm_states_both": (
        LENGTHS,
        "- lstm: {units: 3, bidirectional: true, returns: all}\n  as: first\n"
        "- lstm: {units: 3, bidirectional: true, lengths: n, initial_h: first.h, initial_c: first.c, returns: last}\n"
        "  from: first.sequence",
    ),
    "gru_learned_state": (
        X,
        "- weight: {axes: {C: 3}, init: normal(1)}\n  as: h0\n"
        "- gru: {units: 3, initial_h: h0, returns: last}\n  from: x",
    ),
    "rnn_mask_and_state": (
        "{x: {T: 6, C: 4}, h: {C: 3}, m: {axes: {T: 6}, dtype: bool}}",
        "- rnn: {units: 3, initial_h: h, mask: m, returns: all}\n  from: x\n  as: r\n- add: {of: [r.sequence, r.h], broadcast: true}",
    ),
    "lstm_lengths_of_sentences": (
        "{x: {N: 2, T: 5, C: 3}, n: {axes: {N: 2}, dtype: int32}}",
        "- lstm: {units: 3, lengths: n, returns: all}\n  from: x\n  as: r\n- add: {of: [r.sequence, r.c], broadcast: true}",
    ),
    "sequence_to_sequence": (
        "{words: {axes: {T: 6}, dtype: int32}, n: {axes: {}, dtype: int32}, given: {axes: {S: 4}, dtype: int32}}",
        "- embedding: {count: 9, features: 4}\n  from: words\n  as: table\n"
        "- lstm: {units: 5, lengths: n, returns: all}\n  as: encoder\n"
        "- reuse: table\n  from: given\n"
        "- lstm: {units: 5, over: S, initial_h: encoder.h, initial_c: encoder.c}\n"
        "- linear: {features: 9}",
    ),
}
