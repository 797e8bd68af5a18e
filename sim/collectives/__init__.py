"""Collectives and products on meshes as plans: what cores of a line, or of the whole mesh, send each other and when.

Everything here writes tasks with the calls of `PlanBuilder` and can be run on numbers (`sim/plan/numbers.py`). A
collective works on many lines at once: `cores` (L, P) are L lines of P cores that do the same; the words are those of
one line.

| file | content |
| --- | --- |
| `trees.py` | who sends its sum to whom: chain, star, binomial tree, K-tree (two-phase) |
| `reduce.py` | reduce along a tree, broadcast, all-reduce |
| `rings.py` | all-gather, reduce-scatter and all-reduce on rings; interleaved rings |
| `exchange.py` | all-to-all, and with it dispatch and combine of experts |
| `paths.py` | routes that every core has to know, and the limit of a chip |
| `gemm.py`, `gemv.py` | products on N x N meshes; `gemm_form.py` their cycles |
| `closed_form.py` | cycles of all of them by the rules N1 to N5 of `hw_models/noc/cycle.py` |
"""
