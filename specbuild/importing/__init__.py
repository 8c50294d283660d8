"""Make a spec of a model that exists as code: `specbuild import`.

| Stage | Modules | Result |
|---|---|---|
| capture | `pytorch.capture_worker`, `pytorch.recorder_worker` | a `Trace`: the calls of one forward pass, as plain data |
| lower | `lowering`, `layouts`, `broadcasting`, `pytorch.handlers` | steps on named axes, in an `Instance` for each module |
| rewrite | `rewrites` | the same, without what an author would not write |
| unite | `step_names`, `uniting`, `relations` | a block for all instances of a class, with parameters and conditions |
| write | `spec_text`, `key_rules` | the YAML, and rules for the names of weights |
| prove | `proof` | the emitted model and the original on the same numbers, in float64 |

What depends on the framework is in a package of its own, whose `reader` says how its models are imported; the rest knows
none. Only the workers import it, in a process of their own.
"""
