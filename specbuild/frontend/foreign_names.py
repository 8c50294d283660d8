"""What ops and attributes are called in PyTorch, Keras, JAX and timm, for hints that say what to write here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml
from msgspec import Struct, field

from specbuild.frontend.foreign_values import convert_value


class Replacement(Struct, frozen=True):
    """What to write for a name of another library.

    `op` is an op here, with the attributes in `given`. A value that the other name takes alone, such as the 10 of
    `fc: 10`, is that of the attribute `alone`. `names` are attributes that mean something else for this name. With
    `advice`, there is no single op: it says what to do.
    """

    op: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    alone: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""


AXES_ADVICE = (
    "remove the step: axes have names, and no order that could be changed; ops say their axis (`over: T`)"
)
CROSS_ADVICE = (
    "write `MultiHeadAttention: {heads: 8, memory: NAME}`: it reads queries from the step before, keys and values from "
    "`memory`, whose positions have the axis S (`rename: {axes: {T: S}}`)"
)
RESHAPE_ADVICE = "write `flatten: {axes: [H, W], into: T}` to join axes, or `unflatten: {axis: C, into: {heads: 8, D: -1}}` to split one"
CONTRACT_ADVICE = (
    "write `contract: {of: [a, b], over: C}`: it sums the product over the axis, and keeps all others"
)
IDENTITY_ADVICE = (
    "remove the step; for a block that may be absent, give a parameter `{type: block, default: none}`"
)
ACTIVATION_ADVICE = "write the activation itself as the step, such as `- relu`"
SEPARABLE_ADVICE = "write `conv: {channels: prev.C, groups: prev.C, kernel: 3}`, and as the next step `conv: {channels: ..., kernel: 1}`"
MASKED_ADVICE = (
    "write `MaskedSoftmax: {mask: m}`, which works along T; `m` is a mask, true at the steps that count"
)
FRAMES_ADVICE = (
    "write `scan: T` beside a block: it treats each position of T alike; an op needs no wrapper for this"
)
CHOICE_ADVICE = "give the alternatives one name with `as`, and each a `when` that excludes the others: `when: deep`, `when: not deep`"
RESIDUAL_ADVICE = "give the steps names and add them: `add: [x, body]`"

GROUPS_OF_NAMES: list[tuple[str, Replacement]] = [
    ("dense fc fullyconnected innerproduct linearlayer", Replacement("linear", alone="features")),
    ("convolution convolutional convlayer", Replacement("conv", alone="channels")),
    ("pointwiseconv pwconv", Replacement("conv", {"kernel": "1"}, alone="channels")),
    (
        "depthwiseconv dwconv depthwise",
        Replacement("conv", {"channels": "prev.C", "groups": "prev.C"}, alone="kernel"),
    ),
    (
        "transposedconv transposeconv convtransposed deconv deconvolution upconv",
        Replacement("conv_transpose", alone="channels"),
    ),
    ("bn batchnormalization syncbatchnorm frozenbatchnorm", Replacement("batch_norm")),
    ("ln layernormalization", Replacement("layer_norm")),
    ("gn groupnormalization", Replacement("group_norm", alone="groups")),
    ("instancenormalization", Replacement("instance_norm")),
    ("rmsnormalization", Replacement("rms_norm")),
    ("lrn", Replacement("local_response_norm", alone="size")),
    ("maxpooling", Replacement("max_pool", alone="kernel")),
    ("avgpooling averagepool averagepooling", Replacement("avg_pool", alone="kernel")),
    ("adaptiveavgpooling adaptiveaveragepool", Replacement("adaptive_avg_pool", alone="size")),
    (
        "globalaveragepooling globalaveragepool globalavgpool globalavgpooling gap",
        Replacement("mean", {"over": "[H, W]"}),
    ),
    ("globalmaxpooling globalmaxpool gmp", Replacement("max", {"over": "[H, W]"})),
    ("upsample interpolate resizing", Replacement("resize", alone="scale")),
    ("upsampling", Replacement("resize", alone="scale", names={"size": "scale"})),  # Keras
    ("pixelshuffler depthtospace subpixel", Replacement("pixel_shuffle", alone="factor")),
    ("spacetodepth", Replacement("pixel_unshuffle", alone="factor")),
    ("scaleddotproductattention sdpa dotproductattention", Replacement("attention")),
    ("mha multiheadselfattention selfattention", Replacement("MultiHeadAttention", alone="heads")),
    ("swish", Replacement("silu")),
    ("hardswish hswish", Replacement("hard_silu")),
    ("hsigmoid", Replacement("hard_sigmoid")),
    ("lrelu", Replacement("leaky_relu", alone="slope")),
    ("parametricrelu", Replacement("prelu")),
    ("logistic", Replacement("sigmoid")),
    ("cat concatenate hstack merge", Replacement("concat")),
    ("sub", Replacement("subtract")),
    ("mul mult times", Replacement("multiply")),
    ("div truediv", Replacement("divide")),
    ("sumof plus", Replacement("add")),
    ("pow", Replacement("power", alone="exponent")),
    ("clamp", Replacement("clip")),
    ("zeropad zeropadding constantpad", Replacement("pad", alone="padding")),
    ("reflectionpad reflectpad", Replacement("pad", {"mode": "reflect"}, alone="padding")),
    ("replicationpad", Replacement("pad", {"mode": "replicate"}, alone="padding")),
    (
        "spatialdropout channeldropout featuredropout",
        Replacement("dropout", {"over": "[H, W]"}, alone="rate"),
    ),
    ("stochasticdepth", Replacement("drop_path", alone="rate")),
    ("choose switch case ifelse cond", Replacement(advice=CHOICE_ADVICE)),
    ("takealong takealongdim takealongaxis indexselect take", Replacement("gather", alone="over")),
    ("chunk unbind", Replacement("split", alone="into")),
    ("flatten ravel flattenlayer", Replacement("flatten", {"axes": "[C, H, W]", "into": "C"})),
    ("unsqueeze expanddims", Replacement("expand", {"axes": "{T: 1}"})),
    ("bidirectional bilstm", Replacement("lstm", {"bidirectional": "true"}, alone="units")),
    ("amax reducemax", Replacement("max", alone="over")),
    ("amin reducemin", Replacement("min", alone="over")),
    ("avg reducemean", Replacement("mean", alone="over")),
    ("reducesum", Replacement("sum", alone="over")),
    ("parameter param variable", Replacement("weight")),
    ("constant buffer", Replacement("const")),
    ("detach stopgrad", Replacement("stop_gradient")),
    ("im2col", Replacement("unfold", alone="kernel")),
    ("col2im", Replacement("fold", alone="kernel")),
    (
        "crossattention crossattn multiheadcrossattention mhca multiheadedcrossattention",
        Replacement(advice=CROSS_ADVICE),
    ),
    ("sequential", Replacement(advice="write `do: [...]`, or only the steps: they run one after another")),
    ("lambda", Replacement(advice="write the ops themselves: a spec holds no code")),
    ("reshape view", Replacement(advice=RESHAPE_ADVICE)),
    ("permute transpose swapaxes movedim moveaxis rearrange", Replacement(advice=AXES_ADVICE)),
    ("einsum matmul bmm dot tensordot baddbmm", Replacement(advice=CONTRACT_ADVICE)),
    ("identity noop passthrough", Replacement(advice=IDENTITY_ADVICE)),
    ("activation act nonlinearity", Replacement(advice=ACTIVATION_ADVICE)),
    ("separableconv sepconv depthwiseseparableconv", Replacement(advice=SEPARABLE_ADVICE)),
    ("maskedsoftmax softmaxwithmask", Replacement(advice=MASKED_ADVICE)),
    ("timedistributed vmap", Replacement(advice=FRAMES_ADVICE)),
    ("residual skip skipconnection shortcut", Replacement(advice=RESIDUAL_ADVICE)),
]
REPLACEMENTS = {name: replacement for names, replacement in GROUPS_OF_NAMES for name in names.split()}

WIDTH = "channels features units"
# Attributes of other libraries, and what they may be called here: the one that the op has is meant.
ATTRIBUTE_NAMES: dict[str, str] = {
    **dict.fromkeys(
        "filters outchannels outfeatures units features channels hiddensize hiddendim hidden outputdim outdim dimout "
        "numfeatures nf chout outputsize outputs nout width embeddingdim embeddim embdim dmodel".split(),
        WIDTH,
    ),
    **dict.fromkeys("kernelsize poolsize ksize filtersize windowsize window k size".split(), "kernel size"),
    "strides": "stride",
    "pad": "padding",
    "pads": "padding",
    **dict.fromkeys("dilationrate dilations rhsdilation".split(), "dilation"),
    **dict.fromkeys("group featuregroupcount numgroups ngroups".split(), "groups"),
    "usebias": "bias",
    "eps": "epsilon",
    "elementwiseaffine": "affine",
    **dict.fromkeys("dim dims axis axes".split(), "over axis"),
    **dict.fromkeys("p prob dropprob droprate dropoutrate keepprob".split(), "rate dropout"),
    **dict.fromkeys("negativeslope alpha".split(), "slope"),
    **dict.fromkeys("numheads nheads nhead head".split(), "heads"),
    **dict.fromkeys("numkvheads nkvheads".split(), "kv_heads"),
    **dict.fromkeys("ratio rdratio reductionratio squeezefactor r".split(), "reduction"),
    "scalefactor": "scale",
    "interpolation": "mode",
    **dict.fromkeys("numembeddings vocabsize vocab numclasses depth".split(), "count"),
    **dict.fromkeys("kernelinitializer weightinit initializer".split(), "init"),
    "biasinitializer": "bias_init",
    **dict.fromkeys("keepdim keepdims".split(), "keep"),
    **dict.fromkeys("blocksize upscalefactor downscalefactor".split(), "factor"),
    "iscausal": "causal",
    **dict.fromkeys("returnsequences returnstate".split(), "returns"),
    **dict.fromkeys("op operator relation comparison cmp".split(), "test"),
    **dict.fromkeys("dimfeedforward intermediatesize mlpdim ffndim ffdim dff".split(), "hidden"),
    "unbiased": "correction",
}
INFERRED = frozenset(
    "inchannels infeatures inputsize inputdim inputshape inplanes cin numchannels batchfirst dataformat device".split()
)


def normalize_name(name: str) -> str:
    """Return a name without case, underscores and the number of dimensions: `Conv2DTranspose` is `convtranspose`."""
    return re.sub(r"[123]d", "", re.sub(r"[_\W]", "", name).lower())


def find_attribute(name: str, known: Collection[str]) -> str | None:
    """Return the known attribute that another library calls `name`, or None."""
    candidates = ATTRIBUTE_NAMES.get(normalize_name(name), "").split()
    return next((own for own in candidates if own in known and own != name), None)


def suggest_attribute(name: str, value: Any, known: Collection[str]) -> str:
    """Return a hint for an attribute that goes by another name here, or is inferred; empty if none is known."""
    own = find_attribute(name, known)
    if own in ("over", "axis"):
        return f"write `{own}: ...` with the name of the axis, such as C or H"
    if own is not None:
        return f"write `{own}: {write_converted(name, value)}`"
    if normalize_name(name) in INFERRED:
        return "remove it: the compiler infers it"
    return ""


def write_converted(name: str, value: Any) -> str:
    """Return the value of an attribute of another library as YAML; `...` if it has another meaning here."""
    converted = convert_value(name, value)
    return "..." if converted is None and value is not None else write_inline(converted)


def write_inline(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
