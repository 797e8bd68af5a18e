"""Parameters of a core's vector unit."""

from __future__ import annotations

from cairn.base.spec import Spec, sourced

_VOXEL = (
    "Voxel's released code: one element per lane and cycle whatever the operation "
    "(reference/stacked3d/voxel_runs.README.md, ew_flopc = side)"
)


class VectorSpec(Spec):
    """`lanes` lanes, each of which works on one element at a time.

    The `*_cycles` are the cycles in which an operation keeps its lane busy: 1 for a fully pipelined one, more for
    a unit that iterates. `startup_cycles` is paid once per task, from the first read to the first write.
    """

    lanes: int = sourced(32, "reference/stacked3d/voxel.yaml (vx.sa): the array's side", ge=1, le=65536)
    startup_cycles: int = sourced(
        8, "assumed: SRAM read, four stages of floating-point arithmetic, SRAM write, and issue", ge=0, le=1 << 20
    )
    move_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    add_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    multiply_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    compare_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    divide_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    exponential_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    square_root_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    sigmoid_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)
    tanh_cycles: int = sourced(1, _VOXEL, ge=1, le=4096)

    @property
    def peak_ops_per_cycle(self) -> int:
        """Element operations in one cycle when every operation is pipelined."""
        return self.lanes
