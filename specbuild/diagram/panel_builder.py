"""One block's steps as boxes: repeats become one box, light steps become chips on the box before them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from msgspec.structs import replace

from specbuild.diagnostics.sentences import first_sentence
from specbuild.diagram.block_kinds import BlockKinds
from specbuild.diagram.captions import (
    AxisSizes,
    count_window_axes,
    format_arguments,
    format_axes,
    format_axis_sizes,
    join_caption,
    op_caption,
    resolution_of,
    step_resolution,
)
from specbuild.diagram.diff_boxes import link_change, mark_box
from specbuild.diagram.diff_marks import OLD_SUFFIX, ChangeType
from specbuild.diagram.palette import op_kind
from specbuild.diagram.repeat_boxes import RepeatBoxes, add_costs
from specbuild.diagram.size_links import find_size_inputs
from specbuild.diagram.step_groups import StepGroup, enclosing_groups
from specbuild.diagram.view_model import BlockKind, Box, Chip, Link, Panel, StepScope
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType

# Families of light ops, which become chips on the box before them.
CHIP_FAMILIES = {"norm", "activation", "dropout", "math", "shape", "arrangement"}
RESHAPE_FAMILIES = {"shape", "arrangement"}
MAX_CHIPS = 4
MAX_CHIP_TEXT = 22  # characters; a chip with a longer caption shows only the name of its op


def build_panel(kinds: BlockKinds, kind: BlockKind, *, is_main: bool) -> Panel:
    """Return the panel of one kind of block."""
    return PanelBuilder(kinds, kind, is_main).build()


class PanelBuilder(RepeatBoxes):
    """Turns the steps of one kind of block into boxes and links."""

    def __init__(self, kinds: BlockKinds, kind: BlockKind, is_main: bool) -> None:
        super().__init__(kinds, kind)
        self.kind, self.is_main = kind, is_main
        self.box_keys: dict[Ref, str] = {}  # for a step or an input: the key of the box that shows it
        self.boxes: list[Box] = []
        self.links: dict[tuple[str, str, Ref], Link] = {}

    def build(self) -> Panel:
        self.add_inputs()
        for group in self.split_steps():
            if isinstance(group.first_node.op, Skip):
                continue
            if len(group.members) > 1 or self.is_declared(group):
                self.add_repeat(group)
            else:
                self.add_step(group.first_node)
        self.add_outputs()
        opened = [*(box.opens_panel for box in self.boxes if box.opens_panel), *self.opened_panels]
        return Panel(
            self.kind.key,
            self.kind.title,
            first_sentence(self.kind.doc),
            tuple(self.boxes),
            tuple(self.with_change(link) for link in self.links.values()),
            tuple(dict.fromkeys(opened)),
            change=self.kind.change,
        )

    def add_inputs(self) -> None:
        """Add a box for each input, with the sizes that all instances share."""
        form = "input" if self.is_main else "port"
        types_by_name: dict[str, list[TensorType]] = {}
        free: dict[str, set[str]] = {}
        for scope in self.scopes:
            for ref, type_ in scope.inputs.items():
                name = scope.input_names.get(ref, ref)
                types_by_name.setdefault(name, []).append(type_)
                free.setdefault(name, set()).update(self.free_sizes.axes_of(scope.block, ref))
        for ref, type_ in self.scope.inputs.items():
            name = self.scope.input_names.get(ref, ref)
            mark = self.marks.mark_of(self.scope.block, ref)
            old_types = [mark.old_type] if mark.old_type and self.is_main else []
            sizes = format_axis_sizes(types_by_name[name], old_types, free[name])
            box = Box(
                "",
                form,
                form,
                name.rstrip(OLD_SUFFIX),
                sizes=sizes,
                type=self.describe_value(ref, type_),
                grid=resolution_of(type_),
            )
            self.add_box(mark_box(box, self.marks, [mark]), ref)

    def add_outputs(self) -> None:
        """Add a box for each output, and the link to it."""
        block, outputs = self.scope.block, self.scope.outputs
        form = "output" if self.is_main else "port"
        default_title = "output" if self.is_main or len(outputs) > 1 else "out"
        for name, ref in outputs.items():
            title = (name or default_title).rstrip(OLD_SUFFIX)
            type_ = block.value_type(ref)
            mark = self.marks.mark_of(block, f">{name}")
            old_types = [mark.old_type] if mark.old_type else []
            free = self.free_sizes.axes_of(block, ref)
            sizes = format_axis_sizes([type_], old_types, free) if self.is_main else ()
            grid = resolution_of(type_)
            box = Box("", form, form, title, sizes=sizes, type=type_.describe(free), grid=grid)
            key = self.add_box(mark_box(box, self.marks, [mark]))
            self.add_link(ref, key, "", "added" if ref in mark.added_inputs else "")
            for removed in mark.removed_inputs:
                self.add_link(removed, key, "", "removed")

    # -- boxes

    def add_box(self, box: Box, *names: str) -> str:
        """Add a box that shows the named steps or inputs. Returns its key."""
        box = replace(box, key=f"n{len(self.boxes)}")
        self.boxes.append(box)
        for name in names:
            self.box_keys[name] = box.key
        return box.key

    def find_box(self, key: str) -> Box:
        return self.boxes[int(key[1:])]

    def update_box(self, box: Box) -> None:
        self.boxes[int(box.key[1:])] = box

    def add_step(self, node: Node) -> None:
        """Add a step: as a chip if it can be one, else as a box."""
        if not self.kinds.all_ops and self.try_add_chip(node):
            return
        same_steps = self.matching_nodes(node)
        marks = [self.marks.mark_of(scope.block, n.name) for n, scope in same_steps]
        (parameters, macs), varies = self.common_cost(same_steps)
        base = Box(
            "",
            "card",
            "block",
            "",
            type=self.describe_value(node.name, node.type),
            grid=step_resolution(node),
            parameters=parameters,
            macs=macs,
            has_varying_cost=varies,
            condition=self.step_condition(node),
            steps=(self.scope.local_name(node),),
            at=node.at,
            doc=node.doc,
            row=node.row,
            weights_of=node.reuses or "",
        )
        if isinstance(node.op, Block):
            title = self.step_title(node, node.op.name)
            blocks = [n for n, _ in same_steps if isinstance(n.op, Block) and n.op.at == node.op.at]
            arguments = format_arguments(blocks, exclude={note.what for note in marks[0].notes})
            alternatives = self.list_alternatives(node.op, same_steps)
            names = " or ".join([node.op.name, *(block.name for block in alternatives)])
            self.opened_panels |= dict.fromkeys(map(self.kinds.kind_key, alternatives))
            box = replace(
                base,
                title=title,
                detail=join_caption(names if title != names else "", arguments),
                sizes=self.output_sizes(node, same_steps),
                opens_panel=self.kinds.panel_key(node.op, marks[0].change, marks[0].is_new_block),
                macs_by_kind=self.mac_shares(self.kinds.macs_by_kind(node, self.scope.block)),
            )
        else:
            box = self.op_box(node, same_steps, base)
        blocks_inside = [n.op for n, _ in same_steps if isinstance(n.op, Block)]
        key = self.add_box(mark_box(box, self.marks, marks, blocks_inside), node.name)
        if node.reuses:
            self.mark_shared(node.reuses)
        self.link_inputs(node, key)

    def list_alternatives(self, drawn: Block, same_steps: list[tuple[Node, StepScope]]) -> list[Block]:
        """Return an instance of each other block that a step is in some instances; in a diagram of two models, none."""
        found = {n.op.at: n.op for n, _ in same_steps if isinstance(n.op, Block) and n.op.at != drawn.at}
        return [] if self.kinds.is_diff else list(found.values())

    def op_box(self, node: Node, same_steps: list[tuple[Node, StepScope]], base: Box) -> Box:
        """Return `base` with what an op shows: a symbol for arithmetic, else a title and a caption."""
        op = node.op
        assert isinstance(op, Op)
        sizes = self.output_sizes(node, same_steps)
        base = replace(base, kind=op_kind(op.family), families=(op.family,), sizes=sizes)
        if op.symbol and not self.marks.mark_of(self.scope.block, node.name).change:
            name = self.scope.local_name(node) if node.has_own_name else ""
            return replace(base, form="symbol", title=op.symbol, name=name, detail=op.title)
        detail = self.op_detail(node, same_steps, bool(sizes))
        title = self.step_title(node, op.title)
        if title == op.title:
            detail = detail[len(op.title) :].strip()
        return replace(base, title=title, detail=detail)

    def op_detail(
        self, node: Node, same_steps: list[tuple[Node, StepScope]], hides_target: bool = False
    ) -> str:
        ops = [n.op for n, _ in same_steps if isinstance(n.op, Op)]
        return op_caption(ops, count_window_axes(node), hides_target)

    def step_title(self, node: Node, default: str) -> str:
        """Return the name of a step in the spec, its path if it is in a group, else `default`."""
        name = self.scope.local_name(node).rstrip(OLD_SUFFIX)
        head, dot, last = name.rpartition(".")
        if dot and last.isdigit() and self.is_single_box(head):
            return head
        return name if node.has_own_name or dot else default

    def is_single_box(self, group: str) -> bool:
        """Return whether a group becomes one box: all its steps but the first can be chips."""
        return not self.kinds.all_ops and group not in self.groups_of_boxes

    @cached_property
    def groups_of_boxes(self) -> set[str]:
        """The groups with a step, other than the first, that needs a box of its own."""
        begun, found = set[str](), set[str]()
        for node in self.scope.nodes:
            groups = enclosing_groups(self.scope.local_name(node))
            is_light = isinstance(node.op, Op) and node.op.family in CHIP_FAMILIES
            if not is_light and not isinstance(node.op, Skip):
                found.update(begun.intersection(groups))
            begun.update(groups)
        return found

    def add_repeat(self, group: StepGroup) -> None:
        """Add one box for all members of a repeat."""
        key = self.add_box(self.repeat_box(group), *(node.name for node in group.nodes))
        inside = {node.name for node in group.nodes}
        for node in group.nodes:
            if any(ref is not None and ref.partition("@")[0] not in inside for ref in node.inputs):
                self.link_inputs(node, key)

    def try_add_chip(self, node: Node) -> bool:
        """Draw a light step as a chip on the box that it reads. False if it needs a box of its own."""
        op = node.op
        if not isinstance(op, Op) or op.family not in CHIP_FAMILIES or len(node.inputs) != 1:
            return False
        if node.inputs[0] is None:
            return False
        if node.has_own_name and op.family in ("activation", "math"):
            return False
        ref = self.resolve_skips(node.inputs[0])
        key = self.box_keys.get(ref)
        if key is None or self.readers[ref] != 1:
            return False
        box = self.find_box(key)
        if not self.can_carry_chip(box, node, op):
            return False
        same_steps = self.matching_nodes(node)
        caption = self.op_detail(node, same_steps)
        if len(caption) > MAX_CHIP_TEXT or op.family in ("norm", "dropout"):
            caption = op.title
        cost, varies = self.common_cost(same_steps)
        varies = varies or box.has_varying_cost
        parameters, macs = (0, 0) if varies else add_costs([(box.parameters, box.macs), cost])
        self.update_box(
            replace(
                box,
                chips=(*box.chips, Chip(op_kind(op.family), op.family, caption, self.scope.local_name(node))),
                parameters=parameters,
                macs=macs,
                has_varying_cost=varies,
                type=self.describe_value(node.name, node.type),
                grid=step_resolution(node),
                sizes=self.changed_sizes(box.steps[0], same_steps),
                steps=(*box.steps, self.scope.local_name(node)),
            )
        )
        self.box_keys[node.name] = key
        return True

    def can_carry_chip(self, box: Box, node: Node, op: Op) -> bool:
        """Return whether a light step fits on a box: one op with the same condition and the same change."""
        if box.form != "card" or box.kind in ("block", "weight") or box.repeat_count or box.weights_of:
            return False
        if len(box.chips) >= MAX_CHIPS or box.condition != self.step_condition(node):
            return False
        if node.row == "new" or node.row not in (None, box.row):
            return False
        mark = self.marks.mark_of(self.scope.block, node.name)
        if mark.change not in ("", "added", "removed") or mark.change != box.change:
            return False
        if mark.removed_inputs or mark.added_inputs:
            return False
        families = {*box.families, *(chip.family for chip in box.chips)}
        return op.family in RESHAPE_FAMILIES or not families <= RESHAPE_FAMILIES

    def mark_shared(self, name: str) -> None:
        """Mark the box of a step whose weights another step reuses."""
        key = self.box_keys.get(name)
        if key is not None:
            self.update_box(replace(self.find_box(key), has_shared_weights=True))

    def common_cost(self, same_steps: Sequence[tuple[Node, StepScope]]) -> tuple[tuple[int, int], bool]:
        """Return parameters and multiply-adds of a step, and whether they differ between instances: then (0, 0)."""
        costs = {self.kinds.step_cost(node, scope.block) for node, scope in same_steps}
        return (costs.pop(), False) if len(costs) == 1 else ((0, 0), True)

    def output_sizes(self, node: Node, same_steps: list[tuple[Node, StepScope]]) -> AxisSizes:
        if isinstance(node.op, Block) and "" not in node.op.outputs:
            return ()  # the block has only named outputs: its own panel shows their sizes
        return self.changed_sizes(self.scope.local_name(node), same_steps)

    # -- links

    def link_inputs(self, node: Node, key: str) -> None:
        """Add a link to a box for each input of a step, and for each input that it had in the old model."""
        labels = input_labels(node)
        mark = self.marks.mark_of(self.scope.block, node.name)
        for i, ref in enumerate(node.inputs):
            if ref is not None:
                label = labels[i] if i < len(labels) else ""
                change: ChangeType = "added" if ref in mark.added_inputs else ""
                self.add_link(ref, key, label, change, gives_size=gives_only_size(node, i))
        for ref in mark.removed_inputs:
            self.add_link(ref, key, "", "removed")
        if not node.inputs:
            for name in find_size_inputs(node, self.scope.block):
                self.add_link(name, key, "", gives_size=True)

    def add_link(
        self,
        ref: Ref,
        head: str,
        input_name: str,
        change: ChangeType = "",
        *,
        gives_size: bool = False,
    ) -> None:
        """Add a link from the box of a value to the box `head`. Two links of one value become one."""
        ref = self.resolve_skips(ref)
        name, _, output = ref.partition("@")
        source = self.scope.block.find_node(name)
        if not output and source is not None and isinstance(source.op, Block) and len(source.op.outputs) > 1:
            output = next(iter(source.op.outputs))
        tail = self.box_keys.get(ref) or self.box_keys.get(name)
        if tail is None or tail == head:
            return
        label = output or input_name
        if output and input_name and input_name != output:
            label = f"{output} → {input_name}"
        tail_box = self.find_box(tail)
        if tail_box.form == "symbol" and tail_box.sizes and not label:
            label = format_axes(tail_box.sizes)  # a symbol has no room for the sizes of its output
        known = self.links.get((tail, head, ref))
        if known is not None:
            labels = dict.fromkeys(text for text in (known.label, label) if text)
            both = known.gives_size and gives_size
            self.links[tail, head, ref] = replace(known, label=", ".join(labels), gives_size=both)
        else:
            type_ = self.scope.block.value_type(ref)
            self.links[tail, head, ref] = Link(
                tail, head, label, self.describe_value(ref, type_), change, gives_size
            )

    def with_change(self, link: Link) -> Link:
        """Return a link with its change in a diagram of two models."""
        tail, head = self.find_box(link.tail).change, self.find_box(link.head).change
        change = link_change(link.change, tail, head)
        return link if change == link.change else replace(link, change=change)


def input_labels(node: Node) -> list[str]:
    """Return the names of the inputs of a step; none if it reads a single value, or a single list of values."""
    if isinstance(node.op, Block):
        names = [name.partition(".")[0] for name in node.op.inputs]  # `maps.0` is an item of the list `maps`
        return names if len(set(names)) > 1 else []
    if not isinstance(node.op, Op) or not node.inputs or node.op.input_specs[0].variadic:
        return []
    values = [i for i, ref in enumerate(node.inputs) if ref is not None and not gives_only_size(node, i)]
    if len(values) < 2:
        return []
    return ["" if spec.gives_size else spec.name for spec in node.op.input_specs]


def gives_only_size(node: Node, index: int) -> bool:
    """Return whether a step needs only the sizes of one of its inputs."""
    specs = node.op.input_specs if isinstance(node.op, Op) else ()
    return index < len(specs) and specs[index].gives_size
