"""Every error code: what it means and what to do. A code, once released, keeps its meaning.

SB0xx the file and its YAML, SB1xx the structure of the document, SB2xx names and references,
SB3xx expressions and values, SB4xx shapes, SB5xx limits, SB6xx backends, SB7xx output files,
SB8xx weights, SB90x parity, SB95x drawings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """A code in words: a title, a paragraph, and an example with the fault (or none)."""

    title: str
    text: str
    example: str = ""


CODES: dict[str, Explanation] = {
    "SB001": Explanation(
        "the file cannot be read",
        "The path names no file, or something that is not a regular file, or one that may not be opened. "
        "A spec is read from a regular file only: no directory, pipe, device or URL.",
    ),
    "SB002": Explanation(
        "the file is not UTF-8",
        "A spec is UTF-8 text, with or without a byte order mark. Save the file as UTF-8 in the editor.",
    ),
    "SB003": Explanation(
        "the YAML cannot be parsed",
        "The text is not YAML. The usual causes: a tab in the indentation, a quote or bracket that is not "
        "closed, a comma missing between two entries in braces, or plain text with `: ` or ` #` in it "
        "that needs quotes.",
        "model: {name: Net width: 3}\n",
    ),
    "SB004": Explanation(
        "a key is given twice",
        "Each key of a mapping may stand once. YAML readers disagree about which of two equal keys wins, "
        "so neither does. To use an op twice, make two steps of it.",
        "model: Net\nmodel: Other\n",
    ),
    "SB005": Explanation(
        "YAML tags are not used",
        "A word that starts with `!` is a YAML tag. Tags make objects, and a spec is plain data: text, "
        "numbers, lists and mappings. To mean text that starts with `!`, quote it.",
        "model: !!str Net\n",
    ),
    "SB006": Explanation(
        "the file is past a limit of the loader",
        "A spec file holds at most 1 MiB, 64 levels of nesting, 100,000 keys and values (aliases counted "
        "as often as they are used), 100 aliases, and 4,096 characters in one piece of text. Split it and "
        "import the parts.",
    ),
    "SB007": Explanation(
        "the file is empty",
        "There is nothing but space and comments in the file. The smallest spec has a model, inputs and "
        "steps.",
        "# nothing yet\n",
    ),
    "SB008": Explanation(
        "a character that may not stand in a spec",
        "Control characters, line separators that editors and parsers count differently (U+0085, U+2028, "
        "U+2029, a carriage return alone), lone surrogates and a byte order mark inside the text are "
        "refused, whether written as such or as an escape. Tabs and newlines are fine.",
        'doc: "a bell: \\x07"\n',
    ),
    "SB009": Explanation(
        "more than one YAML document",
        "A file holds one spec: no second document after `---` or `...`, and no `%` directives before it.",
        "model: Net\n---\nmodel: Other\n",
    ),
    "SB010": Explanation(
        "an alias or anchor that cannot be used",
        "`*name` repeats the value marked `&name` earlier in the same file. It must stand after its "
        "anchor, outside of it, each anchor may be given once, and merge keys (`<<`) are not part of YAML "
        "1.2. A value that starts with `*` or `&` and means text or an expression needs quotes.",
        "width: *base\n",
    ),
    "SB011": Explanation(
        "a key that is not text",
        "Keys are text. A key that reads as a number, a bool or null needs quotes; a list or mapping "
        "cannot be a key.",
        "params: {1: 2}\n",
    ),
    "SB012": Explanation(
        "a number that cannot be held",
        "Numbers are finite and have at most 18 digits. Text that looks like a number needs quotes.",
        "width: .inf\n",
    ),
    "SB101": Explanation(
        "unknown key",
        "The key is not one that belongs here. Keys that do are completed by an editor that knows the "
        "JSON Schema (`specbuild schema`), and listed by `specbuild library show NAME`.",
        "steps:\n  - conv: {chanels: 64}\n",
    ),
    "SB102": Explanation(
        "wrong type",
        "The value has another type than the key takes: text for a number, one value for a list, and so on.",
        "steps: relu\n",
    ),
    "SB103": Explanation(
        "missing attribute",
        "The op, block or section needs a key that is not there.",
        "steps:\n  - conv: {kernel: 3}\n",
    ),
    "SB104": Explanation(
        "two ops in one step",
        "A step has exactly one op or block. Start a new `-` for the next one; keys such as `as` and "
        "`from` stand beside the op, in the same step.",
        "steps:\n  - conv: {channels: 64}\n    relu: {}\n",
    ),
    "SB105": Explanation(
        "a step key indented into the op",
        "`from`, `as`, `when`, `repeat`, `expect` and `doc` belong to the step, beside the op, not among "
        "the op's attributes. Move the key two columns to the left, or out of the braces.",
        "steps:\n  - conv:\n      channels: 64\n      as: stem\n",
    ),
    "SB106": Explanation(
        "a selector that cannot be read",
        "A selector is a path of names with dots between them. `*` stands for any part of one name, `**` for "
        "any number of names, `[1-3]` or `[0,2]` for numbers; `:relu` after a name says which op or block the "
        "step is. A step without a name goes by its label: `relu` is every such step of a block, `relu2` the "
        "second, as `specbuild show --depth 3` lists them.",
        "edits:\n  - remove: backbone..relu\n",
    ),
    "SB201": Explanation(
        "unknown op or block",
        "No op, block, import or library block has this name. Ops are lower_snake, blocks are CamelCase.",
        "steps:\n  - covn: {channels: 64}\n",
    ),
    "SB202": Explanation(
        "unknown name",
        "A reference names an earlier step, an input of the block, `prev`, or a part of a block such as "
        "`cnn.layer3`. Steps that come later cannot be used.",
        "steps:\n  - add: [body, shortcut]\n",
    ),
    "SB203": Explanation(
        "a name that cannot be used",
        "Names start with a letter, go on with letters, digits and underscores, have at most 64 "
        "characters, and are not words that Python, PyTorch or Keras already own.",
        "steps:\n  - relu:\n    as: class\n",
    ),
    "SB204": Explanation(
        "a name given twice",
        "Two steps or inputs of one block have the same name. Names become attributes, so each may be "
        "used once. The third step of a branch `left` is `left.2`, which is held as `left_2`.",
        "steps:\n  - relu:\n    as: a\n  - relu:\n    as: a\n",
    ),
    "SB205": Explanation(
        "files that import each other",
        "Imports may not go in a circle. Move what both files need into a third one.",
        "imports: {Net: ./this_file.yaml}\n",
    ),
    "SB206": Explanation(
        "a block that contains itself",
        "A block may use other blocks, but not itself, directly or through others. For a stack of equal "
        "blocks, use `repeat`.",
        "blocks:\n  Stage:\n    steps:\n      - Stage\n",
    ),
    "SB207": Explanation(
        "an import from outside the project",
        "Only files under the project folder are read, after symbolic links are resolved. Copy the file "
        "into the project, or name a wider root on the command line.",
        "imports: {Net: ../../etc/passwd}\n",
    ),
    "SB208": Explanation(
        "an edit that meets no step",
        "The selector of an edit is a path from the model of its file, through the names of steps: "
        "`backbone.layer1.0.bn3`. Edits are done in their order, so that a step which an earlier one removed "
        "is no longer there, and one that it inserted is.",
        "edits:\n  - remove: backbone.layer9\n",
    ),
    "SB209": Explanation(
        "an edit that cannot be done",
        "A step that is removed or inserted before needs an input that can pass on; what replaces a step has "
        "as many inputs as that one, or names them with `from`; only an op or a block has attributes to set; "
        "of a `parallel`, the branches are frozen.",
        "edits:\n  - remove: class_token\n",
    ),
    "SB301": Explanation(
        "an expression that cannot be parsed",
        "Expressions are numbers, names, sizes such as `x.C`, list items, `+ - * / // %`, comparisons, "
        "`and or not`, `a if c else b`, and a few functions: min, max, ceil, floor, round, divisible.",
        "channels: 2 * * width\n",
    ),
    "SB302": Explanation(
        "unknown name in an expression",
        "Expressions know the parameters of their block, its inputs and earlier steps (for their sizes), "
        "and `i` inside a repeat.",
        "channels: 2 * widht\n",
    ),
    "SB303": Explanation(
        "division by zero",
        "With these parameters the divisor is zero.",
        "channels: width // (stride - stride)\n",
    ),
    "SB304": Explanation(
        "a value out of range",
        "The value lies outside of what the attribute or parameter allows.",
        "steps:\n  - dropout: {rate: 1.5}\n",
    ),
    "SB305": Explanation(
        "a value of the wrong type",
        "The expression gives another type than is needed here, such as a fraction for a number of "
        "channels. Use `//` to divide whole numbers.",
        "channels: width / 3\n",
    ),
    "SB401": Explanation(
        "shapes that do not fit",
        "The op cannot be applied to values of these shapes. `add` needs equal axes; `multiply` lets an "
        "axis be missing but not differ in size; `concat` joins along one axis and the others must be "
        "equal.",
    ),
    "SB402": Explanation(
        "another shape than expected",
        "The step has an `expect`, and the inferred shape is another one.",
    ),
    "SB403": Explanation(
        "an axis of size zero or less",
        "The input is too small for this step: the kernel or the crop is larger than what it is applied to.",
    ),
    "SB404": Explanation(
        "missing axis",
        "The op works along an axis that its input does not have. Axes are named where the inputs are "
        "declared and by `flatten`, `unflatten` and `rename`.",
    ),
    "SB501": Explanation(
        "an expression past its limits",
        "An expression has at most 1,000 characters, 200 nodes, a depth of 32, and whole numbers up to 2^53.",
    ),
    "SB502": Explanation(
        "too many steps",
        "A repeat counts to at most 10,000, and a model has at most 50,000 steps once every block and "
        "repeat is written out. Edits are about the steps of one block at most 1,000 times.",
    ),
    "SB503": Explanation(
        "blocks nested too deep",
        "Blocks may stand inside blocks to a depth of 64.",
    ),
    "SB504": Explanation(
        "a size past its limit",
        "An axis has at most 2^20 entries, a tensor 2^31 - 1, and a model 10^11 parameters.",
    ),
    "SB505": Explanation(
        "too many imports",
        "A spec imports at most 100 files, 20 deep, 4 MiB together.",
    ),
    "SB506": Explanation(
        "too many edits",
        "A spec has at most 60 edits. A selector with `*`, `**` or `[1-3]` says many steps at once.",
    ),
    "SB601": Explanation(
        "a backend cannot express this",
        "The framework has no exact way to compute this step. The message says why, and what can be used "
        "instead.",
    ),
    "SB602": Explanation(
        "unknown backend",
        "There is no backend of this name; `specbuild doctor` lists those that there are.",
    ),
    "SB603": Explanation(
        "a framework is not installed",
        "Checking, compiling and drawing need no framework, but building a live model does, and Keras needs "
        "one of TensorFlow, JAX and PyTorch beneath it. `specbuild doctor` says what is missing and how to "
        "install it.",
    ),
    "SB604": Explanation(
        "a device is not there",
        "The framework sees no such device on this machine: no GPU, no driver, or a build of the framework "
        "without support for it. `specbuild parity --device cpu` needs none.",
    ),
    "SB701": Explanation(
        "a file edited by hand would be overwritten",
        "The output file was changed since it was generated, or specbuild did not write it. Write to another "
        "path with `-o`, or pass `--force` to lose what the file holds.",
    ),
    "SB702": Explanation(
        "an output file cannot be written",
        "The folder is not there or may not be written to, the path is no regular file, two results have the "
        "same path, or a new file would take the place of one that is there.",
    ),
    "SB703": Explanation(
        "a report of parity that cannot be read",
        "`--parity` takes the file that `specbuild parity --json` printed. This one is not there, is no JSON, or "
        "holds something else.",
    ),
    "SB704": Explanation(
        "a report of parity that is of something else",
        "A card states only what was measured of the very files that are written. The report has no result of this "
        "spec with these parameters, or another version of specbuild wrote the files that it is about. Measure "
        "again: `specbuild parity SPEC --json > parity.json`, with the same `--variant` and `--set`.",
    ),
    "SB801": Explanation(
        "weights do not fit",
        "Entries of the file are left over, weights of the model get none, or shapes differ. Either the file "
        "is of another model, or a rule is missing under `weights` in the spec. What is meant to differ is "
        "declared: `--allow-missing PATTERN` for weights that begin anew, `--allow-unused PATTERN` for entries "
        "that are left out, `--adapt PATTERN=MODE` for weights that are made to fit another size.",
    ),
    "SB802": Explanation(
        "a rule for weights that cannot be read",
        "A rule's left side is a published name with fields in braces: `{rest}` for all that follows, `{i}` "
        "for a number, `{i < 5}` for some numbers. Its right side is the model's own name, or one of "
        "`{to: name}`, `{split: 0, into: [a, b]}` and `{ignore: true}`.",
    ),
    "SB803": Explanation(
        "a file of weights that cannot be opened",
        "The path names no file, or something that is not a regular file, or one that may not be opened.",
    ),
    "SB804": Explanation(
        "a file that holds no weights",
        "Weights are read from safetensors, from a state_dict that torch.save wrote (.pt, .pth), and from the "
        ".weights.h5 and .keras of Keras. The file is none of these, was cut off, holds something other than "
        "tensors, or says to be far larger than it is. A pickle is never run: save "
        "`model.state_dict()`, not the model.",
    ),
    "SB805": Explanation(
        "weights that are not numbers",
        "The file has NaN or infinity, most likely from a training that diverged. `specbuild weights inspect` "
        "shows where; `--allow-nonfinite` carries them all the same.",
    ),
    "SB806": Explanation(
        "a form of weights that is not known",
        "The ending of the file says what is written: .safetensors, .pt, .pth, .weights.h5 or .keras. `--from` "
        "and `--to` take specbuild, torch or keras; `--from` also takes the layouts that the spec, or a model "
        "that it imports, has rules for under `weights`. `--adapt` takes a pattern and a mode: `conv1=repeat`, or "
        "mean, zero and random, and `position=resample(prefix=1, from=14x14, to=16x16)`.",
    ),
    "SB807": Explanation(
        "weights that cannot be adapted so",
        "`repeat`, `mean`, `zero` and `random` are for kernels whose input channels alone differ; of a linear map "
        "they must be told which of its inputs are channels, and of a grouped convolution they cannot know. "
        "`resample` is for tables along one axis, whose rows are the places of a grid: squares, unless the model "
        "or `from` and `to` say otherwise. Weights for which neither is right begin anew: `--allow-missing`.",
    ),
    "SB901": Explanation(
        "the two files compute different functions",
        "On the same inputs and weights the emitted PyTorch and Keras files give numbers that are further apart "
        "than rounding explains. The place is the first step that differs. This is a fault of specbuild, or of "
        "a framework: please report it with the spec. Below float64, what PyTorch's own rounding explains is told "
        "as `rounded` and is no error; where a small type leaves doubt, float64 decides.",
    ),
    "SB902": Explanation(
        "an emitted file cannot be run",
        "The framework refused the file, or its process died or gave no answer in time. The message says which; "
        "a smaller `--batch` needs less memory, and `--timeout` gives more time.",
    ),
    "SB903": Explanation(
        "an output that is not a number",
        "With random weights and inputs a framework gives NaN, so that nothing can be compared. The place is the "
        "first step that does; a logarithm or a root of a negative number, and a division by zero, are the "
        "usual causes.",
    ),
    "SB951": Explanation(
        "Graphviz is missing",
        "SVG, PNG and PDF need Graphviz, which places the boxes. pygraphviz 2 or later brings it along "
        "(`pip install '.[draw]'` in a checkout of specbuild); a `dot` on the PATH serves as well. DOT and "
        "Mermaid are written without it.",
    ),
    "SB952": Explanation(
        "a picture that takes too long",
        "Placing the boxes did not end in time, even with the outermost blocks alone. Draw one block with "
        "`--open`, or write DOT and let another program place it.",
    ),
    "SB953": Explanation(
        "there is nothing to open",
        "`--open` takes the path of a block in the model, such as `layer1.0`; `specbuild show` lists the paths. "
        "An op has no inside.",
    ),
    "SB954": Explanation(
        "Graphviz failed",
        "Graphviz is installed, but ended with an error, whose last line is told. An old `dot`, or one without "
        "the plugin for a format, may be found before a good one: `specbuild doctor` says which there is. "
        "`pip install '.[draw]'` in a checkout of specbuild brings one of its own, which is taken first.",
    ),
}
