"""Mutants of files with given kernels, tables, states that are carried along an axis, and places of each sample."""

from __future__ import annotations

from tests.parity.mutants.table import Mutant

CT, CK = ("carried", "torch"), ("carried", "keras")

CARRIED = {
    # kernels that are values
    "torch_kernel_norm_of_the_other_axes": Mutant(
        *CT, "dim=(1, 2), keepdim=True", "dim=(0, 2), keepdim=True", "kernel"
    ),
    "torch_kernel_epsilon": Mutant(*CT, ".clamp(min=0.01)", ".clamp(min=10)", "kernel"),
    "torch_kernel_sees_the_future": Mutant(*CT, "(2, 0)), kernel", "(1, 1)), kernel", "filtered"),
    "torch_matrix_transposed": Mutant(*CT, "b...i,boi->b...o", "b...i,bio->b...o", "mapped"),
    "keras_kernel_not_arranged": Mutant(
        *CK,
        "ops.swapaxes(ops.normalize(free, axis=(1, 2), epsilon=0.01), 0, 2)",
        "ops.transpose(ops.normalize(free, axis=(1, 2), epsilon=0.01), (2, 0, 1))",
        "filtered",
    ),
    "keras_kernel_sees_the_future": Mutant(
        *CK, "((0, 0), (2, 0), (0, 0))", "((0, 0), (1, 1), (0, 0))", "filtered"
    ),
    "keras_matrix_transposed": Mutant(*CK, "b...i,bio->b...o", "b...i,boi->b...o", "mapped"),
    # given numbers
    "torch_number_of_a_table": Mutant(*CT, "[1.0, -0.5, 2.0, 0.25]", "[1.0, 0.5, 2.0, 0.25]", "taps"),
    "keras_order_of_a_table": Mutant(*CK, "[1.0, -0.5, 2.0, 0.25]", "[0.25, 2.0, -0.5, 1.0]", "taps"),
    # recurrence
    "torch_lengths_forgotten": Mutant(
        *CT, "weighted, middle, lengths=lengths)", "weighted, middle)", "reader"
    ),
    "torch_state_forgotten": Mutant(*CT, "weighted, middle, lengths", "weighted, lengths", "reader"),
    "torch_relu_for_tanh": Mutant(
        *CT, "nn.RNN(4, 4, batch_first=True)", 'nn.RNN(4, 4, nonlinearity="relu", batch_first=True)', "reader"
    ),
    "torch_mask_inverted": Mutant(*CT, "self.masked, x, kept)", "self.masked, x, ~kept)", "masked"),
    "torch_lengths_forgotten_in_two_directions": Mutant(
        *CT, "self.encoder, x, lengths=lengths", "self.encoder, x", "encoder@sequence"
    ),
    "keras_lengths_forgotten": Mutant(*CK, "        mask=length_mask(weighted, lengths),\n", "", "reader"),
    "keras_one_step_too_many": Mutant(*CK, "return steps <= ops", "return steps - 1 <= ops", "reader"),
    "keras_state_forgotten": Mutant(
        *CK, "        weighted,\n        middle,\n", "        weighted,\n", "reader"
    ),
    "keras_mask_forgotten": Mutant(*CK, "        mask=checked_kept,\n", "", "masked"),
    "keras_lengths_forgotten_in_two_directions": Mutant(
        *CK, "        mask=length_mask(out, lengths),\n", "", "encoder@sequence"
    ),
    # a block along an axis
    "torch_scan_from_the_front": Mutant(*CT, "state={1: 1}, reverse=True", "state={1: 1}", "walked@y"),
    "torch_scan_without_state": Mutant(
        *CT, "            given[i] = results[k]\n", "            pass\n", "walked@y"
    ),
    "torch_scan_in_the_order_of_calls": Mutant(
        *CT, "rounds[::-1] if reverse else rounds", "rounds", "walked@y"
    ),
    "keras_scan_from_the_front": Mutant(*CK, "state={1: 1}, reverse=True", "state={1: 1}", "walked@y"),
    "keras_scan_without_state": Mutant(
        *CK, "            given[i] = results[k]\n", "            pass\n", "walked@y"
    ),
    "keras_scan_in_the_order_of_calls": Mutant(
        *CK, "rounds[::-1] if reverse else rounds", "rounds", "walked@y"
    ),
    # places of each sample
    "torch_places_of_the_first_sample": Mutant(
        *CT, "places[:, :, None].long()", "places[:1, :, None].long()", "found"
    ),
    "keras_next_place": Mutant(*CK, "places[:, :, None]", "ops.roll(places, 1, axis=1)[:, :, None]", "found"),
}
