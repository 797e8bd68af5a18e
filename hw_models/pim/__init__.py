"""Processing in memory: a DRAM channel whose banks compute, to the tick.

A device is data (`devices/*.yaml`): a DRAM standard with further commands, each with what it reaches (one bank, all
banks, none), what it asks of rows, its mode, and whether the host waits for what it answers; and timing rules between
all commands. The channel serves a program of instructions in order. Rules (kernels and the oracle cite them by number);
they describe the controller of aim_simulator (arkhadem/aim_simulator @0f28a07), whose cycle counts they give exactly;
rules marked + are Cairn's own.

P1  Ticks count from 1. One command issues a tick. Instructions (command, count, bank, row) are served in the order of
    the program, and each asks for its command `count` times.
P2  A command that needs a row needs it open in the banks that it reaches. For one bank: where the bank is closed the
    activate of one bank comes first, where another row is open the precharge of that bank. For all banks: where all
    are closed the activate of all banks comes first; where some are open but not all of them in that row+, the
    precharge of all banks.
P3  Two modes: commands of registers (buffer, accumulators) need register mode, all others array mode, and what P2 puts
    first for an instruction needs the mode of the instruction. In the other mode, the mode command issues in place of
    the command that comes next, at the tick at which that one could.
P4  A command issues at the first tick after the command before it that every rule of the device allows
    (`device.limits`): at least so many ticks after an earlier command, over the banks that both reach. Registers belong
    to the channel.
P5  Where the host waits for an answer, nothing issues until a tick after it: tick + latency + 1.
P6+ Refresh `all_bank`: one falls due at every multiple of nREFI. Before an instruction, every refresh that is due by
    the tick of its first command comes first: array mode (P3), all banks precharged where any is open, then REF. What
    buffers and accumulators hold is kept. `none`: never, as in the source.
P7  The host's end-of-run comes a tick after the last command, or where P5 allows it. The run ends a tick later, or a
    tick after the last command is complete (its tick + latency), whichever is the later.

`gemv.py` and `registers.py` lower products to programs (banks that listen to a buffer; blocks with register files),
`state.py` steps of recurrent states; `numbers.py` runs programs on numbers; `analytical.py` is the closed form of
products; `server.py` serves programs in the engines (rules Q1 to Q4); `cost.py` has energy and area. `upmem.py` and
`asic.py` are cost models without commands.
"""
