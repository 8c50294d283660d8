#!/bin/sh
# Parity on a GPU, in one command: PyTorch on CUDA against Keras on JAX and on TensorFlow.
#
#   benchmarks/gpu_parity.sh [SPEC...]        by default, every spec under specs/
#
# Writes benchmarks/gpu_parity.md. Takes a Python with torch, keras, and jax[cuda12] or tensorflow[and-cuda];
# PYTHON names it, RUNTIMES the runtimes of Keras ("jax tensorflow"), BATCH the batch.
# Ends with 0 if every run was equal, with 1 if one was not, with 4 if there is no GPU.
set -u
cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python3}
batch=${BATCH:-4}
[ $# -gt 0 ] || set -- specs/*.yaml
report=benchmarks/gpu_parity.md
draft=$(mktemp) || exit 2
trap 'rm -f "$draft"' EXIT
worst=0
ran=0

# section TITLE OPTION...: one run of all specs, as a section of the report
section() {
    title=$1
    shift
    echo "$title" >&2
    found=$("$python" -m specbuild parity --device cuda --batch "$batch" --format markdown "$@")
    code=$?
    if [ "$code" -gt 1 ]; then
        echo "$title: not run (exit $code)" >&2
        [ "$code" -gt "$worst" ] && worst=$code
        return
    fi
    [ "$code" -gt "$worst" ] && worst=$code
    ran=$((ran + 1))
    printf '## %s\n\n%s\n\n' "$title" "$found" >>"$draft"
}

for runtime in ${RUNTIMES:-jax tensorflow}; do
    section "float32 on $runtime, TF32 off" --dtype float32 --keras-runtime "$runtime" "$@"
    section "bfloat16 on $runtime" --dtype bfloat16 --mode forward --keras-runtime "$runtime" "$@"
    section "float32 on $runtime, TF32 on" --dtype float32 --tf32 --mode forward --keras-runtime "$runtime" "$@"
done

if [ "$ran" -eq 0 ]; then
    echo "nothing was compared: see the messages above" >&2
    exit "$worst"
fi
{
    printf '# Parity on a GPU\n\n'
    printf 'Written by `benchmarks/gpu_parity.sh`. PyTorch on CUDA against Keras; every switch is listed with its value.\n\n'
    cat "$draft"
} >"$report"
echo "wrote $report" >&2
exit "$worst"
