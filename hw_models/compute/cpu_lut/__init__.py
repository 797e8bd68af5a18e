"""CPUs that multiply low-bit weights by look-up in vector registers: T-MAC, TL1, TL2; and I2_S, which unpacks.

Rules, from T-MAC (arXiv 2407.00088) and the technical report of bitnet.cpp (arXiv 2410.16144):

* C1  an index of `index_bits` selects the sum of `group` weights' products from a table in one register (TBL, PSHUFB);
      T-MAC does so for each bit of the weights: m n k b / g look-ups, TL1 and TL2 once: m n k / g;
* C2  mirror consolidation halves a table, INT8 entries halve its bytes again: 4 weights of a bit, 16 entries, 8 bytes;
* C3  beside each look-up a core widens and adds its results and takes the index out of a byte;
* C4  tables are built once for each row of inputs, with additions of their entries;
* C5  threads share the bandwidth of the memory: a product takes the longer of look-ups and bytes.
"""
