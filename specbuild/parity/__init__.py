"""Run the emitted files of one model, each framework in its own process, and compare every step.

One file is the reference; each of the others is compared with it. The modules, from the bottom up:

* `participants` chooses the reference and the others;
* `trace` lists the steps of a model; `probe_plan` finds the code of each step in an emitted file;
* `random_data` draws weights and inputs; `exchange` writes them for a worker and reads its results;
* `difference`, `tolerance` and `rounding` decide whether two tensors agree;
* `compare` runs cases one after another, `session` runs many in parallel, `report` formats the results.

The worker processes are in `specbuild.runtimes` and `specbuild.backends.*.parity_worker`.
"""
