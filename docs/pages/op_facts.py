"""What each op is called in PyTorch, Keras and JAX, and its formula, where the description is not one."""

from __future__ import annotations

from dataclasses import dataclass

# op | PyTorch | Keras | JAX | formula. A name stands for the nearest function or layer; `-` means that there is none.
FACTS = """
relu | nn.ReLU | layers.ReLU | jax.nn.relu | y = max(x, 0)
relu6 | nn.ReLU6 | ops.relu6 | jax.nn.relu6 | y = min(max(x, 0), 6)
leaky_relu | nn.LeakyReLU | layers.LeakyReLU | jax.nn.leaky_relu | y = x if x > 0 else slope * x
elu | nn.ELU | layers.ELU | jax.nn.elu | y = x if x > 0 else alpha * (exp(x) - 1)
selu | nn.SELU | ops.selu | jax.nn.selu | y = 1.0507 * (x if x > 0 else 1.6733 * (exp(x) - 1))
celu | nn.CELU | ops.celu | jax.nn.celu | y = max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)
gelu | nn.GELU | ops.gelu | jax.nn.gelu | y = x * (1 + erf(x / sqrt(2))) / 2
silu | nn.SiLU | ops.silu | jax.nn.silu | y = x / (1 + exp(-x))
mish | nn.Mish | activations.mish | jax.nn.mish | y = x * tanh(log(1 + exp(x)))
softplus | nn.Softplus | ops.softplus | jax.nn.softplus | y = log(1 + exp(beta * x)) / beta
softsign | nn.Softsign | ops.softsign | jax.nn.soft_sign | y = x / (1 + |x|)
sigmoid | nn.Sigmoid | ops.sigmoid | jax.nn.sigmoid | y = 1 / (1 + exp(-x))
hard_sigmoid | nn.Hardsigmoid | ops.hard_sigmoid | jax.nn.hard_sigmoid | y = min(max(x + 3, 0), 6) / 6
hard_silu | nn.Hardswish | ops.hard_silu | jax.nn.hard_silu | y = x * min(max(x + 3, 0), 6) / 6
log_sigmoid | nn.LogSigmoid | ops.log_sigmoid | jax.nn.log_sigmoid | y = -log(1 + exp(-x))
tanh | nn.Tanh | ops.tanh | jax.numpy.tanh | y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))
hard_tanh | nn.Hardtanh | ops.hard_tanh | jax.nn.hard_tanh | y = min(max(x, -1), 1)
tanh_shrink | nn.Tanhshrink | ops.tanh_shrink | - | y = x - tanh(x)
soft_shrink | nn.Softshrink | ops.soft_shrink | - | y = sign(x) * max(|x| - threshold, 0)
hard_shrink | nn.Hardshrink | ops.hard_shrink | - | y = x if |x| > threshold else 0
threshold | nn.Threshold | ops.threshold | - | y = x if x > threshold else value
prelu | nn.PReLU | layers.PReLU | - | y = x if x > 0 else weight * x
softmax | nn.Softmax | layers.Softmax | jax.nn.softmax | y[i] = exp(x[i]) / sum over j of exp(x[j])
log_softmax | nn.LogSoftmax | ops.log_softmax | jax.nn.log_softmax | y[i] = x[i] - log(sum over j of exp(x[j]))
glu | nn.GLU | ops.glu | jax.nn.glu | y = a * sigmoid(b), where a and b are the halves of x
slice | - | ops.slice | jax.lax.slice | y[i] = x[start + i * step]
split | torch.split | ops.split | jax.numpy.split |
stack | torch.stack | ops.stack | jax.numpy.stack |
expand | torch.unsqueeze | ops.expand_dims | jax.numpy.expand_dims |
squeeze | torch.squeeze | ops.squeeze | jax.numpy.squeeze |
roll | torch.roll | ops.roll | jax.numpy.roll | y[i] = x[(i - shift) % n]
flip | torch.flip | ops.flip | jax.numpy.flip | y[i] = x[n - 1 - i]
tile | torch.tile | ops.tile | jax.numpy.tile | y[i] = x[i % n]
repeat_interleave | torch.repeat_interleave | ops.repeat | jax.numpy.repeat | y[i] = x[i // times]
add | torch.add | layers.Add | jax.numpy.add | y = a + b + ...
subtract | torch.sub | layers.Subtract | jax.numpy.subtract | y = a - b
minimum | torch.minimum | layers.Minimum | jax.numpy.minimum | y = min(a, b, ...)
maximum | torch.maximum | layers.Maximum | jax.numpy.maximum | y = max(a, b, ...)
average | - | layers.Average | - | y = (a + b + ...) / n
multiply | torch.mul | layers.Multiply | jax.numpy.multiply | y = a * b * ...
divide | torch.div | ops.divide | jax.numpy.divide | y = a / b
atan2 | torch.atan2 | ops.arctan2 | jax.numpy.arctan2 | y = the angle of the point (b, a)
concat | torch.cat | layers.Concatenate | jax.numpy.concatenate |
compare | torch.gt | ops.greater | jax.numpy.greater | y = x > value, or another test
where | torch.where | ops.where | jax.numpy.where | y = then if condition else otherwise
logical_not | torch.logical_not | ops.logical_not | jax.numpy.logical_not | y = not x
logical_and | torch.logical_and | ops.logical_and | jax.numpy.logical_and | y = a and b and ...
logical_or | torch.logical_or | ops.logical_or | jax.numpy.logical_or | y = a or b or ...
attention | nn.functional.scaled_dot_product_attention | ops.dot_product_attention | jax.nn.dot_product_attention | y = softmax(scale * q . k + bias) . v
contract | torch.einsum | ops.einsum | jax.numpy.einsum | y[i, j] = sum over k of a[i, k] * b[k, j]
conv | nn.Conv2d | layers.Conv2D | jax.lax.conv_general_dilated | y[o, i] = bias[o] + sum over c, k of weight[o, c, k] * x[c, i * stride + k * dilation - before]
conv_transpose | nn.ConvTranspose2d | layers.Conv2DTranspose | jax.lax.conv_transpose | x[c, i] adds weight[c, o, k] * x[c, i] to y[o, i * stride + k * dilation - before]
kernel_conv | nn.functional.conv2d | ops.conv | jax.lax.conv_general_dilated | as conv, with a value as the weight
linear | nn.Linear | layers.Dense | jax.numpy.dot | y[o] = bias[o] + sum over c of weight[o, c] * x[c]
kernel_linear | nn.functional.linear | ops.matmul | jax.numpy.matmul | y[o] = sum over c of weight[o, c] * x[c]
dropout | nn.Dropout | layers.Dropout | jax.random.bernoulli | y = x * kept / (1 - rate) in training, else x
drop_path | - | - | - | y = x * kept / (1 - rate) for a whole sample in training, else x
fft | torch.fft.fft | ops.fft | jax.numpy.fft.fft | y[k] = sum over n of x[n] * exp(-2 * pi * i * k * n / N)
ifft | torch.fft.ifft | ops.ifft2 | jax.numpy.fft.ifft | y[n] = sum over k of x[k] * exp(2 * pi * i * k * n / N) / N
rfft | torch.fft.rfft | ops.rfft | jax.numpy.fft.rfft | as fft, for k up to N // 2
irfft | torch.fft.irfft | ops.irfft | jax.numpy.fft.irfft | the inverse of rfft
gather | torch.index_select | ops.take | jax.numpy.take | y[i] = x[index[i]]
one_hot | nn.functional.one_hot | ops.one_hot | jax.nn.one_hot | y[i, k] = 1 if x[i] == k else 0
embedding | nn.Embedding | layers.Embedding | jax.numpy.take | y[i] = weight[x[i]]
segment_reduce | torch.scatter_reduce | ops.segment_sum | jax.ops.segment_sum | y[s] = sum over i with index[i] == s of x[i], or another reduction
sort | torch.sort | ops.sort | jax.numpy.sort |
top_k | torch.topk | ops.top_k | jax.lax.top_k |
neg | torch.neg | ops.negative | jax.numpy.negative | y = -x
abs | torch.abs | ops.abs | jax.numpy.abs | y = |x|
sign | torch.sign | ops.sign | jax.numpy.sign |
square | torch.square | ops.square | jax.numpy.square | y = x * x
sqrt | torch.sqrt | ops.sqrt | jax.numpy.sqrt | y = x ** 0.5
rsqrt | torch.rsqrt | ops.rsqrt | jax.lax.rsqrt | y = x ** -0.5
reciprocal | torch.reciprocal | ops.reciprocal | jax.numpy.reciprocal | y = 1 / x
exp | torch.exp | ops.exp | jax.numpy.exp | y = e ** x
log | torch.log | ops.log | jax.numpy.log |
sin | torch.sin | ops.sin | jax.numpy.sin |
cos | torch.cos | ops.cos | jax.numpy.cos |
erf | torch.erf | ops.erf | jax.lax.erf |
floor | torch.floor | ops.floor | jax.numpy.floor |
trunc | torch.trunc | ops.trunc | jax.numpy.trunc |
cast | Tensor.to | ops.cast | jax.lax.convert_element_type |
stop_gradient | Tensor.detach | ops.stop_gradient | jax.lax.stop_gradient | y = x, with dy/dx = 0
scale | torch.mul | layers.Rescaling | - | y = by * x + plus
power | torch.pow | ops.power | jax.numpy.power | y = x ** exponent
clip | torch.clamp | ops.clip | jax.numpy.clip | y = min(max(x, lower), upper)
pad | nn.functional.pad | ops.pad | jax.numpy.pad |
unfold | nn.Unfold | ops.extract_sequences | jax.lax.conv_general_dilated_patches |
fold | nn.Fold | - | - |
batch_norm | nn.BatchNorm2d | layers.BatchNormalization | jax.nn.standardize | y = weight * (x - mean) / sqrt(variance + epsilon) + bias
layer_norm | nn.LayerNorm | layers.LayerNormalization | jax.nn.standardize | y = weight * (x - mean) / sqrt(variance + epsilon) + bias
rms_norm | nn.RMSNorm | layers.RMSNormalization | - | y = weight * x / sqrt(mean(x ** 2) + epsilon)
group_norm | nn.GroupNorm | layers.GroupNormalization | - | y = weight * (x - mean) / sqrt(variance + epsilon) + bias
instance_norm | nn.InstanceNorm2d | layers.GroupNormalization | - | y = weight * (x - mean) / sqrt(variance + epsilon) + bias
local_response_norm | nn.LocalResponseNorm | - | - | y = x / (k + alpha * m) ** beta
max_pool | nn.MaxPool2d | layers.MaxPooling2D | jax.lax.reduce_window | y[i] = max over k of x[i * stride + k * dilation - before]
avg_pool | nn.AvgPool2d | layers.AveragePooling2D | jax.lax.reduce_window | y[i] = mean over k of x[i * stride + k - before]
adaptive_avg_pool | nn.AdaptiveAvgPool2d | layers.GlobalAveragePooling2D | - | y[i] = mean of x from i * n // size to ceil((i + 1) * n / size)
adaptive_max_pool | nn.AdaptiveMaxPool2d | layers.GlobalMaxPooling2D | - | y[i] = max of x from i * n // size to ceil((i + 1) * n / size)
lstm | nn.LSTM | layers.LSTM | - | c = f * c' + i * g, h = o * tanh(c)
gru | nn.GRU | layers.GRU | - | h = (1 - z) * n + z * h'
rnn | nn.RNN | layers.SimpleRNN | - | h = tanh(W x + b + U h' + c)
sum | torch.sum | ops.sum | jax.numpy.sum |
mean | torch.mean | ops.mean | jax.numpy.mean |
max | torch.amax | ops.max | jax.numpy.max |
min | torch.amin | ops.min | jax.numpy.min |
prod | torch.prod | ops.prod | jax.numpy.prod |
logsumexp | torch.logsumexp | ops.logsumexp | jax.nn.logsumexp | y = log(sum(exp(x)))
l2_norm | torch.linalg.vector_norm | ops.norm | jax.numpy.linalg.norm | y = sqrt(sum(x ** 2))
variance | torch.var | ops.var | jax.numpy.var | y = sum((x - mean) ** 2) / (n - correction)
std | torch.std | ops.std | jax.numpy.std | y = sqrt(sum((x - mean) ** 2) / (n - correction))
argmax | torch.argmax | ops.argmax | jax.numpy.argmax |
cumsum | torch.cumsum | ops.cumsum | jax.numpy.cumsum | y[i] = x[0] + ... + x[i]
normalize | nn.functional.normalize | ops.normalize | - | y = x / max(sqrt(sum(x ** 2)), epsilon)
resize | nn.Upsample | layers.Resizing | jax.image.resize |
pixel_shuffle | nn.PixelShuffle | - | - | y[c, h * r + i, w * r + j] = x[(c * r + i) * r + j, h, w]
pixel_unshuffle | nn.PixelUnshuffle | - | - | y[(c * r + i) * r + j, h, w] = x[c, h * r + i, w * r + j]
grid_sample | nn.functional.grid_sample | - | jax.scipy.ndimage.map_coordinates |
flatten | torch.flatten | layers.Flatten | jax.numpy.ravel |
unflatten | torch.unflatten | layers.Reshape | jax.numpy.reshape |
rename | - | - | - | y = x
unfinished | - | - | - |
weight | nn.Parameter | Layer.add_weight | - |
const | Module.register_buffer | ops.convert_to_tensor | jax.numpy.asarray |
"""


@dataclass(frozen=True)
class OpFacts:
    """The names of an op elsewhere, by library, and its formula; empty texts where there is none."""

    torch: str
    keras: str
    jax: str
    formula: str


def read_facts() -> dict[str, OpFacts]:
    """Return the facts of each op by its name."""
    facts = {}
    for line in FACTS.strip().splitlines():
        name, torch, keras, jax, *formula = [cell.strip() for cell in f"{line} ".split(" | ", 4)]
        names = ["" if cell == "-" else cell for cell in (torch, keras, jax)]
        facts[name] = OpFacts(*names, *formula)
    return facts


FACTS_BY_OP = read_facts()
LIBRARIES = {"torch": "PyTorch", "keras": "Keras", "jax": "JAX"}
