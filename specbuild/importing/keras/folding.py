"""From the flat graph of a Keras model to modules: layers whose names begin alike, and parts of the graph that come again.

A Functional model is a list of layers. What its author wrote as a function that adds a block is seen in two ways: in
names such as `conv2_block1_1_conv`, and, where Keras has numbered the layers, in parts of the graph that have the same
form. Both become modules, of which the rest of the import makes blocks.
"""

from __future__ import annotations

from msgspec.structs import replace

from specbuild.importing.keras.call_graph import CallGraph
from specbuild.importing.keras.layer_names import group_by_names, place_calls
from specbuild.importing.keras.motifs import group_motifs
from specbuild.importing.trace import Call, ModuleCall, Trace


def fold_trace(trace: Trace) -> Trace:
    """Return the trace with modules, and with the places of layers in them as their paths."""
    root = fold_module(trace.root)
    return replace(trace, root=replace(root, body=tuple(place_calls(root.body, ""))))


def fold_module(module: ModuleCall) -> ModuleCall:
    """Return a model, or a model in it, with its calls in modules, each with its own name as its path."""
    graph = CallGraph([fold_inner(call) for call in module.body], module)
    group_by_names(graph)
    group_motifs(graph)
    return replace(module, body=tuple(graph.calls))


def fold_inner(call: Call) -> Call:
    """Return a call under its own name; the calls in a model that is used as a layer are folded by themselves."""
    named = replace(call, path=call.path.rpartition("/")[2].replace(".", "_"))
    return fold_module(named) if isinstance(named, ModuleCall) else named
