"""Products of low-bit weights and wider activations by table look-up, on numbers: what a LUT tensor core computes.

y[m, n] = sum over k of a[m, k] w[n, k], with activations of M rows and weights of N rows, as a linear layer stores
them. Kernel and oracle cite these rules, which are those of LUT Tensor Core (LTC; Mo et al., ISCA 2025, sections 3.1 to
3.3):

* L1, weights. A weight is w = s (q - z). Its code q has b bits, 1 to 8: q = sum over planes i of 2^i B_i, each B_i 0 or
  1. Scale s and zero point z belong to a scale group: consecutive weights of a row, all of them or a multiple of g.
* L2, reinterpretation. q' = 2q - (2^b - 1) = sum of 2^i S_i with S_i = 2 B_i - 1 of {-1, +1}; s' = s / 2 and
  z' = 2z + 1 - 2^b. Then w = s' (q' - z'), exactly (LTC eq. 2).
* L3, groups. k is cut into groups of g, 1 to 8; the last one is filled with activations of zero.
* L4, table. For each row and group, 2^(g-1) sums of the g activations with signs: in entry e, bit j of e is 1 where
  activation j has a plus, and the last activation, j = g - 1, always has a minus. The other half of all sums are these
  with the sign changed (LTC eq. 4). A tree of two levels builds it (FIGLUT, Park et al., HPCA 2025, section III-E):
  sums of the first g // 2 activations, sums of the others, and their sums.
* L5, index. The S of a plane in a group are an index of g bits, bit j set where S of weight j is +1. If its highest bit
  is set, the others are inverted, offline (LTC eq. 5 and 6). The unit then reads entry (low g - 1 bits) and changes its
  sign where the highest bit is set. (The RTL released with LTC has that bit lowest, which renames indices only.)
* L6, accumulation. Tables of a scale group in order of k, for each the planes from the lowest: acc += 2^i * entry.
  Integers in int64, which no accepted product overflows; others in float32 or float64, each sum rounded to it.
* L7, quantised tables. Each table has a step t = max |entry| / 127, rounded to the accumulator's type, and its entries
  are the nearest integers to entry / t, ties to even. Then acc += t * (sum over planes of 2^i * integer). Tables of
  floats may also be kept in FP16, each entry rounded to nearest, ties to even, as in LTC's 16-bit tables (its eq. 7).
* L8, result. y = sum over scale groups, in order of k, of s' (acc - z' A), with A the sum of the group's activations,
  in float64; then times the scale of the row of activations, where it has one.
"""
