"""Every error code with its explanation. A released code never changes its meaning.

SB0xx the file and its YAML, SB1xx the structure of the document, SB2xx names and references,
SB3xx expressions and values, SB4xx shapes, SB5xx limits, SB6xx backends, SB7xx output files,
SB8xx weights, SB90x parity, SB95x drawings, SB96x imports of models.
"""

from __future__ import annotations

from msgspec import Struct


class Explanation(Struct, frozen=True):
    """The explanation of an error code."""

    title: str
    text: str
    example: str = ""  # a spec that causes the error


CODES: dict[str, Explanation] = {
    "SB001": Explanation(
        "the file cannot be read",
        "The path names no file, names something that is not a regular file, or names a file that you "
        "may not open. specbuild reads specs from regular files, from standard input (`-`), and from pipes that the "
        "shell makes, such as `<(command)`; not from directories, named pipes, devices or URLs.",
    ),
    "SB002": Explanation(
        "the file is not UTF-8",
        "A spec is UTF-8 text, with or without a byte order mark. Save the file as UTF-8 in your editor.",
    ),
    "SB003": Explanation(
        "the YAML cannot be parsed",
        "The text is not valid YAML. The usual causes: a tab in the indentation, a quote or bracket "
        "that is not closed, a missing comma between two entries in braces, or unquoted text that "
        "contains `: ` or ` #`.",
        "model: {name: Net width: 3}\n",
    ),
    "SB004": Explanation(
        "duplicate key",
        "A mapping may contain each key once. YAML readers disagree about which of two equal keys to "
        "use, so specbuild accepts neither. To use an op twice, write two steps.",
        "model: Net\nmodel: Other\n",
    ),
    "SB005": Explanation(
        "YAML tags are not allowed",
        "A word that starts with `!` is a YAML tag. Tags create objects, but a spec is plain data: "
        "text, numbers, lists and mappings. If you mean text that starts with `!`, quote it.",
        "model: !!str Net\n",
    ),
    "SB006": Explanation(
        "the file exceeds a limit of the loader",
        "A spec file may contain at most 1 MiB, 64 levels of nesting, 100,000 keys and values (an "
        "alias counts each time you use it), 100 aliases, and 4,096 characters in one piece of text. "
        "Split the file and import the parts.",
    ),
    "SB007": Explanation(
        "the file is empty",
        "The file contains only spaces and comments. The smallest spec has a model, inputs and steps.",
        "# nothing yet\n",
    ),
    "SB008": Explanation(
        "a character that is not allowed in a spec",
        "These characters are not allowed, neither directly nor as an escape: control characters, line "
        "separators that editors and parsers count differently (U+0085, U+2028, U+2029, a carriage "
        "return without a line feed), lone surrogates, and a byte order mark inside the text. Tabs and "
        "newlines are allowed.",
        'doc: "a bell: \\x07"\n',
    ),
    "SB009": Explanation(
        "more than one YAML document",
        "A file contains one spec: no second document after `---` or `...`, and no `%` directives before it.",
        "model: Net\n---\nmodel: Other\n",
    ),
    "SB010": Explanation(
        "an alias or anchor that cannot be used",
        "`*name` repeats the value that is marked `&name` earlier in the same file. The alias must "
        "come after the anchor and outside the anchored value, and each anchor name may be defined "
        "once. Merge keys (`<<`) are not part of YAML 1.2. If text or an expression starts with `*` or "
        "`&`, quote it.",
        "width: *base\n",
    ),
    "SB011": Explanation(
        "a key that is not text",
        "Keys are text. Quote a key that looks like a number, a bool or null. A list or a mapping "
        "cannot be a key.",
        "params: {1: 2}\n",
    ),
    "SB012": Explanation(
        "a number that cannot be represented",
        "Numbers have at most 18 digits, and `.nan` is not one of them. If the value is text that looks like a "
        "number, quote it.",
        "width: .nan\n",
    ),
    "SB101": Explanation(
        "unknown key",
        "This key is not allowed here. An editor that uses the JSON Schema (`specbuild schema`) "
        "completes the allowed keys, and `specbuild library show NAME` lists them.",
        "steps:\n  - conv: {chanels: 64}\n",
    ),
    "SB102": Explanation(
        "wrong type",
        "The value has the wrong type for its key: for example text instead of a number, or one value "
        "instead of a list.",
        "steps: relu\n",
    ),
    "SB103": Explanation(
        "missing attribute",
        "The op, block or section needs a key that is missing.",
        "steps:\n  - conv: {kernel: 3}\n",
    ),
    "SB104": Explanation(
        "two ops in one step",
        "A step has exactly one op or block. Start a new `-` for the next one. Keys such as `as` and "
        "`from` go beside the op, in the same step.",
        "steps:\n  - conv: {channels: 64}\n    relu: {}\n",
    ),
    "SB105": Explanation(
        "a step key at a wrong place",
        "`from`, `as`, `when`, `repeat`, `expect` and `doc` belong to the step. Write them beside the "
        "op, not among its attributes: move the key two columns to the left, or out of the braces. "
        "`names` and `collect` are written beside `repeat` or `foreach`, `splice` beside `repeat`.",
        "steps:\n  - conv:\n      channels: 64\n      as: stem\n",
    ),
    "SB106": Explanation(
        "invalid selector",
        "A selector is a path of names with dots between them. `*` matches any part of one name, `**` "
        "matches any number of names, `[1-3]` and `[0,2]` match numbers, and `:relu` after a name "
        "requires that the step is this op or block. A step without a name has a label: `relu` matches "
        "every unnamed relu step of a block, and `relu2` the second one. `specbuild show --depth 3` "
        "lists the labels.",
        "edits:\n  - remove: backbone..relu\n",
    ),
    "SB201": Explanation(
        "unknown op or block",
        "No op, block, import or library block has this name. Names of ops are lower_snake, names of "
        "blocks are CamelCase.",
        "steps:\n  - covn: {channels: 64}\n",
    ),
    "SB202": Explanation(
        "unknown name",
        "A reference names an earlier step, an input of the block, `prev`, or a value inside a block "
        "such as `cnn.layer3`. A step cannot use a later step.",
        "steps:\n  - add: [body, shortcut]\n",
    ),
    "SB203": Explanation(
        "a name that cannot be used",
        "A name starts with a letter, continues with letters, digits and underscores, and has at most "
        "64 characters. It cannot be a Python keyword, nor a word that has a meaning of its own in a spec: "
        "`prev`, `i`, `none`. The model cannot have the name of something else in the emitted file, such as `F`. "
        "All other names are kept; an attribute that PyTorch or Keras needs for itself is written with an "
        "underscore: a layer `half` is `self.half_`.",
        "steps:\n  - relu:\n    as: class\n",
    ),
    "SB204": Explanation(
        "duplicate name",
        "Two steps or inputs of one block have the same name, or a model and a block of its file. Names "
        "become attributes in the code, so each name must be unique; only a parameter and a step may share one. The third step of a branch `left` is `left.2` and becomes the "
        "attribute `left_2`.",
        "steps:\n  - relu:\n    as: a\n  - relu:\n    as: a\n",
    ),
    "SB205": Explanation(
        "files that import each other",
        "Imports cannot form a cycle. Move what both files need into a third file.",
        "imports: {Net: ./this_file.yaml}\n",
    ),
    "SB206": Explanation(
        "a block that contains itself",
        "A block may use other blocks, but not itself, directly or through other blocks. For a stack "
        "of equal blocks, use `repeat`; move what two blocks share into a third block.",
        "blocks:\n  Stage:\n    steps:\n      - Stage\n",
    ),
    "SB207": Explanation(
        "an import from outside the project",
        "specbuild reads only files in the project folder, after it resolves symbolic links: the nearest "
        "folder above the spec with a `pyproject.toml` or a `.git`, else the folder of the spec. Copy the "
        "file into it, or give a wider folder with `--root`.",
        "imports: {Net: ../../etc/passwd}\n",
    ),
    "SB208": Explanation(
        "an edit that matches no step",
        "The selector of an edit is a path of step names that starts at the model of its file: "
        "`backbone.layer1.0.bn3`. Edits run in order: a later edit cannot select a step that an "
        "earlier edit removed, and it can select a step that an earlier edit inserted.",
        "edits:\n  - remove: backbone.layer9\n",
    ),
    "SB209": Explanation(
        "an edit that cannot be applied",
        "To remove a step, or to insert before it, the step needs an input that can pass through. A "
        "replacement takes as many inputs as the replaced step or fewer, or names its inputs with "
        "`from`. Only an op or a block has attributes to set. To freeze a `parallel`, freeze its "
        "branches.",
        "edits:\n  - remove: class_token\n",
    ),
    "SB210": Explanation(
        "a repeat or a reuse that could mean two things",
        "Each member of a repeat gets the results of the member before at the inputs that have their "
        "names; a single result of another name goes to the first input. All other inputs keep their "
        "values. If none of several results is named like an input, rename the outputs of the block. A "
        "`reuse` of a group has a new input in the place of `prev`; a block says by a name of its own "
        "what it does with its input.",
        "steps:\n  - attention: {query: prev, key: prev, value: prev}\n    repeat: 3\n",
    ),
    "SB211": Explanation(
        "a reuse of a step in a block that is never computed",
        "`reuse: encoder.embed` uses the weights of a step inside `encoder`. If no output needs `encoder` itself, a "
        "framework never makes the rest of its weights.",
        "steps:\n  - Encoder: {}\n    as: encoder\n  - {reuse: encoder.embed, from: x}\n",
    ),
    "SB301": Explanation(
        "an expression that cannot be parsed",
        "An expression may contain numbers, names, sizes such as `x.C`, list items, `+ - * / // %`, "
        "comparisons, `and or not`, `a if c else b`, and these functions: min, max, ceil, floor, "
        "round, divisible.",
        "channels: 2 * * width\n",
    ),
    "SB302": Explanation(
        "unknown name in an expression",
        "An expression may use the parameters of its block, the sizes of the block's inputs and of "
        "earlier steps, and `i` inside a repeat.",
        "channels: 2 * widht\n",
    ),
    "SB303": Explanation(
        "division by zero",
        "With these parameters the divisor is zero.",
        "channels: width // (stride - stride)\n",
    ),
    "SB304": Explanation(
        "a value out of range",
        "The value is outside the range that the attribute or parameter allows.",
        "steps:\n  - dropout: {rate: 1.5}\n",
    ),
    "SB305": Explanation(
        "a value of the wrong type",
        "The result of the expression has the wrong type, for example a fraction where a number of "
        "channels is needed. Use `//` to divide whole numbers.",
        "channels: width / 3\n",
    ),
    "SB306": Explanation(
        "a file of given numbers that cannot be used",
        "The `file` of a `const` is a safetensors file beside the spec: the length of its header, the header in "
        "JSON, the numbers. This one is something else, is cut off, or states sizes that its bytes do not fit. "
        "A pickle is never opened; save tensors with `safetensors.torch.save_file`.",
    ),
    "SB401": Explanation(
        "shapes that do not match",
        "The op cannot be applied to values of these shapes. `add` needs equal axes. `multiply` "
        "accepts a missing axis, but no axis of different size. `concat` joins along one axis, and all "
        "other axes must be equal.",
    ),
    "SB402": Explanation(
        "the shape differs from `expect`",
        "The step has an `expect`, and the inferred shape is a different one.",
    ),
    "SB403": Explanation(
        "an axis of size zero or less",
        "The input is too small for this step: the kernel or the crop is larger than the input.",
    ),
    "SB404": Explanation(
        "missing axis",
        "The op works along an axis that its input does not have. Axes get their names where the "
        "inputs are declared, and from `flatten`, `unflatten` and `rename`.",
    ),
    "SB408": Explanation(
        "a size that can be any, where a number is needed",
        "`T: any` says that a model takes every size of this axis. A weight, an argument of a block, a condition and a "
        "table of given numbers need one size, so that they cannot follow from it. The size of an axis of the input is "
        "read with `x.T`; an axis is reduced with `mean` or `adaptive_avg_pool`.",
        "inputs: {tokens: {T: any, C: 8}}\nsteps:\n  - linear: {features: 4, over: T}\n",
    ),
    "SB501": Explanation(
        "an expression that exceeds a limit",
        "An expression has at most 1,000 characters, 200 nodes, a depth of 32, and whole numbers up to 2^53. "
        "A list that an expression makes has at most 2,000 values, counted in all lists in it. A list of given "
        "numbers has at most 1,024; a file of them has at most 64 MiB, and one tensor 2^24 numbers.",
    ),
    "SB502": Explanation(
        "too many steps",
        "A `repeat` is at most 10,000, and a model has at most 10,000 steps in all its blocks and "
        "repeats, of which 6,000 are not in equal blocks. Repeats that make fewer steps may not visit more. "
        "A model uses at most 600 different blocks. "
        "A size that can be any is tried at three other sizes, and all these models together have at most 10,000 steps. "
        "All expressions that are evaluated have at most 40,000 parts, where new ones and those of tables count three times. "
        "An op has at most 100 inputs, and ops that join any number of them 20,000 in all. The values of all steps have at most 40,000 axes. In one block, edits may change steps at most 1,000 times. "
        "Selectors that several names can match are compared with at most 80,000 names, where each `*` counts as one more.",
    ),
    "SB503": Explanation(
        "blocks nested too deep",
        "Blocks may be nested at most 64 levels deep.",
    ),
    "SB504": Explanation(
        "a size that exceeds a limit",
        "An axis has at most 2^20 entries, a tensor 2^31 - 1 entries, and a model 10^11 parameters.",
    ),
    "SB505": Explanation(
        "too many imports",
        "A spec imports at most 100 files, at most 20 levels deep, with at most 4 MiB in total. "
        "The spec and its imports have at most 100,000 keys and values together.",
    ),
    "SB506": Explanation(
        "too many edits",
        "A spec has at most 60 edits. One selector with `*`, `**` or `[1-3]` can match many steps. One "
        "name in a selector has at most 12 `*` and numbers in brackets.",
    ),
    "SB601": Explanation(
        "a backend does not support this",
        "The framework has no exact way to compute this step. The message gives the reason and an "
        "alternative.",
    ),
    "SB602": Explanation(
        "unknown backend",
        "There is no backend with this name. `specbuild doctor` lists the backends.",
    ),
    "SB603": Explanation(
        "a framework is not installed",
        "You can check, compile and draw without a framework. To build a live model you need the "
        "framework, and Keras also needs TensorFlow, JAX or PyTorch as its backend. `specbuild doctor` "
        "shows what is missing and how to install it.",
    ),
    "SB604": Explanation(
        "a device is not available",
        "The framework finds no such device on this machine: there is no GPU, no driver, or the "
        "framework was built without support for it. `specbuild parity --device cpu` needs no such "
        "device.",
    ),
    "SB605": Explanation(
        "a backend lacks a part",
        "Every backend emits source files. Weight files, weights loaders, parameter groups, parity and "
        "packages are optional parts, which a backend of an extension may lack.",
    ),
    "SB606": Explanation(
        "an extension cannot be loaded",
        "An installed distribution declares a backend, ops or blocks for specbuild, but importing them "
        "fails. Update or uninstall it.",
    ),
    "SB701": Explanation(
        "a file edited by hand would be overwritten",
        "The output file was changed after specbuild wrote it, or specbuild did not write it. Write to "
        "another path with `-o`, or use `--force` to replace the file and lose its content.",
    ),
    "SB702": Explanation(
        "an output file cannot be written",
        "The folder does not exist or is not writable, the path is not a regular file, two results "
        "have the same path, or a new file would replace an existing one. `expand --prune` removes nothing beside "
        "a manifest that it cannot read, which may list any of the files.",
    ),
    "SB703": Explanation(
        "a parity report that cannot be read",
        "`--parity` takes the file that `specbuild parity --json` printed. This file does not exist, "
        "is not JSON, or has other content.",
    ),
    "SB704": Explanation(
        "a parity report of something else",
        "A model card states only what was measured on exactly the files that are written. This report "
        "has no result for this spec with these parameters, or its files come from another version of "
        "specbuild. Measure again with the same `--variant` and `--set`: `specbuild parity SPEC --json "
        "> parity.json`.",
    ),
    "SB801": Explanation(
        "weights do not match the model",
        "The file has entries that the model does not use, the model has weights that the file does "
        "not have, or shapes differ. Either the file belongs to another model, or the spec needs a "
        "rule under `weights`. Declare differences that you intend: `--allow-missing PATTERN` for "
        "weights that keep their initial values, `--allow-unused PATTERN` for entries to ignore, "
        "`--adapt PATTERN=MODE` for weights to convert to another size.",
    ),
    "SB802": Explanation(
        "invalid weight rule",
        "The left side of a rule is a published name with fields in braces: `{rest}` for the rest of "
        "the name, `{i}` for a number, `{i < 5}` for some numbers. The right side is the name in this "
        "model, or one of `{to: name}`, `{split: 0, into: [a, b]}` and `{ignore: true}`.",
    ),
    "SB803": Explanation(
        "a weight file that cannot be opened",
        "The path names no file, names something that is not a regular file, or names a file that you "
        "may not open.",
    ),
    "SB804": Explanation(
        "not a weight file",
        "specbuild reads weights from safetensors, from a state_dict written by torch.save (.pt, "
        ".pth), and from the Keras formats .weights.h5 and .keras. This file has another format, is "
        "truncated, contains something other than tensors, or claims to be far larger than it is. "
        "specbuild never runs a pickle: save `model.state_dict()`, not the model.",
    ),
    "SB805": Explanation(
        "weights that are not finite",
        "The file contains NaN or infinity, most likely because the training diverged. `specbuild "
        "weights inspect` shows where; `--allow-nonfinite` converts the weights anyway.",
    ),
    "SB806": Explanation(
        "unknown weight format",
        "The suffix of the file selects the output format: .safetensors, .pt, .pth, .weights.h5 or "
        ".keras. `--from` and `--to` take specbuild, torch or keras; `--from` also takes a layout for "
        "which the spec, or a model that it imports, has rules under `weights`. `--adapt` takes a "
        "pattern and a mode: `conv1=repeat`, or mean, zero and random, and "
        "`position=resample(prefix=1, from=14x14, to=16x16)`.",
    ),
    "SB807": Explanation(
        "weights that cannot be adapted this way",
        "`repeat`, `mean`, `zero` and `random` convert kernels that differ only in their input "
        "channels. For a linear layer you must say which of its inputs are channels; grouped "
        "convolutions are not supported. `resample` converts tables along one axis whose rows are the "
        "positions of a grid. specbuild assumes a square grid, unless the model or `from` and `to` "
        "give another. If no mode fits, use `--allow-missing`: the weights keep their initial values.",
    ),
    "SB808": Explanation(
        "other numbers than the spec gives",
        "A `const` with many given numbers is stored with the weights, and the weight file has other numbers "
        "for it than the spec. One of the two belongs to another model.",
    ),
    "SB809": Explanation(
        "weights that cannot be folded",
        "A batch norm divides by the square root of its variance plus epsilon. The weights give a number there "
        "that is not finite, such as the root of a negative variance: they are no weights of a trained model, "
        "or they were changed since.",
    ),
    "SB901": Explanation(
        "the two files compute different functions",
        "With the same inputs and weights, the results of the emitted PyTorch and Keras files differ "
        "by more than rounding explains. The location is the first step that differs. This is a bug in "
        "specbuild or in a framework: please report it with the spec. Below float64, a difference that "
        "PyTorch's own rounding explains is reported as `rounded` and is not an error; if a small type "
        "leaves doubt, float64 decides.",
    ),
    "SB902": Explanation(
        "an emitted file cannot be run",
        "The framework rejected the file, or its process crashed or did not answer in time. The "
        "message says which. A smaller `--batch` needs less memory, and `--timeout` allows more time.",
    ),
    "SB903": Explanation(
        "an output that is not a number",
        "With random weights and inputs a framework computes NaN, so the results cannot be compared. "
        "The location is the first step with NaN. The usual causes are a logarithm or a square root of "
        "a negative number, and a division by zero.",
    ),
    "SB904": Explanation(
        "a deployed model that is not equal to the trained one",
        "`specbuild transform deploy` runs both emitted files in float64 with the same inputs, and their outputs "
        "differ by more than rounding explains. Nothing was written. This is a bug in specbuild or in a "
        "framework: please report it with the spec.",
    ),
    "SB951": Explanation(
        "Graphviz is missing",
        "SVG, PNG and PDF need Graphviz, which lays out the boxes. pygraphviz 2 or later includes it "
        "(`pip install '.[draw]'` in a checkout of specbuild); a `dot` on the PATH works as well. DOT "
        "and Mermaid do not need it.",
    ),
    "SB952": Explanation(
        "the layout takes too long",
        "Graphviz did not finish in time, even with only the outermost blocks. Draw one block with "
        "`--open`, or write DOT and use another layout program.",
    ),
    "SB953": Explanation(
        "there is nothing to open",
        "`--open` takes the path of a block in the model, such as `layer1.0`. `specbuild show` lists "
        "the paths. An op cannot be opened.",
    ),
    "SB954": Explanation(
        "Graphviz failed",
        "Graphviz is installed but ended with an error. The message shows its last line. An old `dot`, "
        "or one without the plugin for a format, may come first on the PATH: `specbuild doctor` shows "
        "which one is used. `pip install '.[draw]'` in a checkout of specbuild installs a separate "
        "Graphviz, which is used first.",
    ),
    "SB961": Explanation(
        "the model to import cannot be made or run",
        "`specbuild import` calls the class or function that you name, and then the model, once, on the inputs "
        "that you give: `--set` has arguments of the first, `--input` the inputs. The message has the last "
        "line of the exception, or says what is wrong on the command line.",
    ),
    "SB962": Explanation(
        "the model to import depends on its data",
        "A spec is the same network for all data. A model that looks at the numbers of a value (`if "
        "x.mean() > 0`, `x.item()`, a boolean mask as an index), or draws random numbers in evaluation mode, "
        "would be another network for other data: it is refused, not approximated.",
    ),
    "SB963": Explanation(
        "the model to import calls something that has no op",
        "Each function that the model calls becomes an op. All calls without one are listed, with the module "
        "and the line of your source. Write them with other functions, or put their part into a spec by hand.",
    ),
    "SB964": Explanation(
        "the axes of a value are unknown",
        "Importing gives each dimension of a tensor the names of its axes. It refuses what mixes the batch "
        "with other axes, and shapes that only numbers explain.",
    ),
    "SB965": Explanation(
        "the model to import changes values in place",
        "Layers such as `nn.ReLU(inplace=True)` are fine. Assignment to a part of a value, and changes through "
        "another view of it, are refused: write them with `torch.cat` or `torch.where`.",
    ),
    "SB966": Explanation(
        "weights of the model to import are computed or shared in a way that no spec can say",
        "The weights of a layer are its own tensors. Weights that are computed on the way (weight "
        "normalization, standardization), and weights that two different blocks share, are refused.",
    ),
    "SB967": Explanation(
        "a table of the model to import has no expression",
        "Constants become a `const` with an expression, or with the numbers if they are few. A table for which "
        "neither is possible goes into a file beside the spec, and is refused if it is too large for that.",
    ),
}
