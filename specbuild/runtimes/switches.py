"""Switches of frameworks that trade precision for speed. The tables of switches are in the backends.

A worker sets the switches of its framework before it computes anything, reads them back, and reports them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from specbuild.runtimes.jobs import Device, WorkerOptions

ValueRule = Callable[[WorkerOptions], Any]


class Switch(Struct, frozen=True):
    """A setting of a framework: an environment variable, or functions that set and read it after import."""

    framework: str  # torch, tensorflow, jax or keras
    name: str
    value: ValueRule  # computes the value from the options; None: an environment variable that is removed
    set: Callable[[Any, Any], None] | None = None  # takes the module and the value; None: a variable
    read: Callable[[Any], Any] | None = None  # takes the module; None if the framework has no such question
    devices: tuple[Device, ...] = ("cpu", "cuda")


def env_switch(framework: str, name: str, value: ValueRule, *devices: Device) -> Switch:
    return Switch(framework, name, value, devices=devices or ("cpu", "cuda"))


def attribute_switch(framework: str, path: str, value: ValueRule, *devices: Device) -> Switch:
    """Return a switch that is an attribute of the framework's module, such as `backends.cudnn.allow_tf32`."""
    *owners, last = path.split(".")

    def find_owner(module: Any) -> Any:
        for part in owners:
            module = getattr(module, part)
        return module

    return Switch(
        framework,
        f"{framework}.{path}",
        value,
        lambda module, value: setattr(find_owner(module), last, value),
        lambda module: getattr(find_owner(module), last),
        devices or ("cpu", "cuda"),
    )


def fixed_value(value: Any) -> ValueRule:
    return lambda options: value


def is_tf32_allowed(options: WorkerOptions) -> bool:
    return options.tf32


def disable_tf32(options: WorkerOptions) -> str | None:
    """Return the value of NVIDIA_TF32_OVERRIDE: 0 switches TF32 off."""
    return None if options.tf32 else "0"


def worker_environment(
    switches: Iterable[Switch], variables: Mapping[str, str], options: WorkerOptions
) -> dict[str, str]:
    """Return the environment of a process that imports a framework with these switches.

    `variables` are added.
    """
    environment = dict(os.environ)
    environment |= {"OMP_NUM_THREADS": str(options.threads), "TF_NUM_INTRAOP_THREADS": str(options.threads)}
    environment |= {"TF_NUM_INTEROP_THREADS": "1"}
    if options.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    for switch in select_switches(switches, options):
        if switch.set is None:
            environment.pop(switch.name, None)
            if (value := switch.value(options)) is not None:
                environment[switch.name] = value
    return environment | dict(variables)


def select_switches(switches: Iterable[Switch], options: WorkerOptions) -> list[Switch]:
    """Return the switches that matter on the device."""
    return [switch for switch in switches if options.device in switch.devices]


def apply_switches(
    switches: Iterable[Switch], modules: Mapping[str, Any], options: WorkerOptions
) -> list[dict[str, str]]:
    """Set the switches of imported frameworks, and return the name and the actual value of each.

    `modules` are the frameworks' modules by name.
    """
    return [
        {"name": switch.name, "value": apply_switch(switch, modules[switch.framework], options)}
        for switch in select_switches(switches, options)
    ]


def apply_switch(switch: Switch, module: Any, options: WorkerOptions) -> str:
    """Set a switch, and return its actual value; environment variables are only read."""
    if switch.set is None:
        return os.environ.get(switch.name, "not set")
    wanted = switch.value(options)
    try:
        switch.set(module, wanted)
        actual = wanted if switch.read is None else switch.read(module)
    except (AttributeError, RuntimeError) as error:
        return f"cannot be set here: {error}"
    return str(actual) if actual == wanted else f"{actual} (not {wanted})"
