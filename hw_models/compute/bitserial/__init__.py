"""Output-stationary arrays of dot-product elements: bit-serial BitMoD, and FP16, ANT and OliVe beside it.

Source: BitMoD (HPCA 2025) and its simulator, abdelfattah-lab/BitMoD-HPCA-25 at 6b68523. Rows of the array hold output
channels, columns tokens; each element adds up `dot` products of one output. Rules:

* B1  a product of m tokens, n outputs and k inputs is done in ceil(k / dot) ceil(n / rows) ceil(m / columns) passes;
* B2  a pass takes one cycle, in a bit-serial element ceil(floor(weight bits) / bits per cycle);
* B3  a group's sum is scaled while the next group is added up, so that no group takes less than the scaling does.
"""
