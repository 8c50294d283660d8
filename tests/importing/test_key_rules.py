"""Rules for names: few, in an order in which the first that matches is right, and none where names are the same."""

from __future__ import annotations

from specbuild.importing.key_rules import CarriedWeight, write_rules
from specbuild.importing.named_values import Published


def carry(pairs: dict[str, str], slot: str = "weight", reshapes: bool = False) -> list[CarriedWeight]:
    return [CarriedWeight(Published(name), own, slot, reshapes) for name, own in pairs.items()]


def test_the_same_names_need_no_rule() -> None:
    assert write_rules(carry({"a.0.weight": "a.0.weight"}), [], "original") == []


def test_numbers_become_fields_and_exceptions_come_first() -> None:
    pairs = {f"blocks.{i}.0.weight": f"blocks.{i}.conv.weight" for i in range(1, 5)}
    pairs |= {"blocks.0.0.weight": "blocks.0.first.weight", "head.weight": "head.weight"}
    assert write_rules(carry(pairs), [], "original") == [
        "  original:",
        "    blocks.0.0.{rest}: blocks.0.first.{rest}",
        "    blocks.{i}.0.{rest}: blocks.{i}.conv.{rest}",
    ]


def test_a_rule_is_no_rule_for_a_name_that_stays() -> None:
    pairs = {"a.0.weight": "a.conv.weight", "a.1.weight": "a.1.weight"}
    assert write_rules(carry(pairs), [], "original") == ["  original:", "    a.0.{rest}: a.conv.{rest}"]


def test_names_that_stay_are_exceptions_too() -> None:
    """The rule for all other blocks would change the names of the first."""
    pairs = {
        f"layer{i}.{j}.convs.{k}.weight": f"layer{i}.{j}.convs{'_' if j else '.'}{k}.weight"
        for i in range(1, 5)
        for j in range(4)
        for k in range(7)
    }
    assert write_rules(carry(pairs), [], "original") == [
        "  original:",
        "    layer{i}.0.convs.{j}.{rest}: layer{i}.0.convs.{j}.{rest}",
        "    layer{i}.{j}.convs.{rest}: layer{i}.{j}.convs_{rest}",
    ]


def test_packed_reshaped_and_unused_tensors() -> None:
    parts = [
        CarriedWeight(
            Published(f"layers.{i}.in_proj_weight", k, 3), f"layers.{i}.{n}.weight", "weight", False
        )
        for i in range(2)
        for k, n in enumerate(("query", "key", "value"))
    ]
    scale = CarriedWeight(Published("scale"), "scale", "", True)
    assert write_rules([*parts, scale], ["position_index"], "original") == [
        "  original:",
        "    position_index: {ignore: true}",
        "    layers.{i}.in_proj_{rest}:\n"
        '      {split: 0, into: ["layers.{i}.query.{rest}", "layers.{i}.key.{rest}", "layers.{i}.value.{rest}"]}',
        "    scale: {to: scale, reshape: true}",
    ]
