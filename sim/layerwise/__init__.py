"""A model on one array, product by product: the longer of computing and DRAM, no event queue.

This is how the simulators of low-bit accelerators work, and what they are compared with here. Rules, those of the
BitMoD simulator (abdelfattah-lab/BitMoD-HPCA-25 at 6b68523) unless a switch of `AttentionSpec` says otherwise:

* L1  a product reads its weights, reads its inputs and writes its outputs once, rows rounded up to bytes;
* L2  when neither weights nor inputs fit their buffer, all of one is read again for each bufferful of the other:
      whichever moves fewer bytes, the inputs in a tie;
* L3  DRAM takes those bits over the bits of its bus in a cycle, rounded down; nothing of a product overlaps the next;
* L4  a product takes the longer of its computing and its DRAM cycles;
* L5  energy: DRAM per bit, the array per cycle of computing, buffers per pass read and per word written.
"""
