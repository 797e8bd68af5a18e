"""Look-up on CPUs: look-ups, tables, bytes and time by rules C1 to C5."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.base.spec import source_of
from cairn.hw_models.compute.cpu_lut.cycle import lookups, product_us, table_additions, weight_bytes
from cairn.hw_models.compute.cpu_lut.spec import CPUS, I2_S, KERNELS, M2_ULTRA, T_MAC, TL1, TL2, CpuSpec, KernelSpec
from cairn.hw_models.compute.cpu_lut.unit import CpuLutUnit
from tests.hw_models.unit_contract import check_unit

sizes = st.integers(1, 5000)
kernels = st.sampled_from(list(KERNELS.values()))
cpus = st.sampled_from(list(CPUS.values()))


def test_t_mac_looks_up_once_for_four_weights_and_each_of_their_bits() -> None:
    assert lookups(T_MAC, 1, 4096, 4096, np.array([1, 2, 3, 4])).tolist() == [4194304 * bits for bits in (1, 2, 3, 4)]


def test_ternary_kernels_look_up_once_for_two_and_for_three_weights() -> None:
    assert lookups(TL1, 1, 1, 6, 2) == 3
    assert lookups(TL2, 1, 1, 7, 2) == 3
    assert lookups(I2_S, 2, 3, 5, 2) == 30


def test_a_table_of_four_weights_has_8_bytes_after_mirror_consolidation() -> None:
    assert (T_MAC.table_bytes, TL1.table_bytes, TL2.table_bytes) == (8, 9, 14)
    assert table_additions(T_MAC, 2, 4096) == 2 * 1024 * 8
    assert table_additions(I2_S, 2, 4096) == 0


def test_weights_are_stored_in_their_bits_in_two_or_five_thirds() -> None:
    found = [float(weight_bytes(kernel, 3, 8, 2)) for kernel in (T_MAC, TL1, TL2)]
    assert found == pytest.approx([6, 6, 5])
    assert float(weight_bytes(T_MAC, 3, 8, 4)) == 12


def test_a_product_takes_its_instructions_over_all_pipes_and_threads() -> None:
    # 4096 x 4096 at 2 bits: 8,388,608 look-ups in registers of 16, 4 instructions each; 8192 additions of 16 bits
    expected = (8388608 / 16 * 4 + 8192 * 2 / 16) / (4 * 3.5e3)
    assert float(product_us(M2_ULTRA, T_MAC, 1, 4096, 4096, 2)) == pytest.approx(expected)
    assert float(product_us(M2_ULTRA, T_MAC, 1, 4096, 4096, 2, 16)) == pytest.approx(expected / 16)


def test_a_product_takes_no_less_than_its_bytes_at_the_bandwidth() -> None:
    slow = M2_ULTRA.model_copy(update={"bandwidth_gb_per_s": 1.0})
    assert float(product_us(slow, T_MAC, 1, 4096, 4096, 2, 16)) == pytest.approx(4096 * 4096 / 4 / 1e3)


@given(cpus, kernels, sizes, sizes, sizes, st.just(1))
def test_more_bits_rows_or_columns_take_no_less_and_more_threads_no_more(
    cpu: CpuSpec, kernel: KernelSpec, m: int, n: int, k: int, bits: int
) -> None:
    base = product_us(cpu, kernel, m, n, k, bits)
    assert product_us(cpu, kernel, m, n, k, bits + 1) >= base
    assert product_us(cpu, kernel, m + 1, n + 1, k + 1, bits) >= base
    assert product_us(cpu, kernel, m, n, k, bits, cpu.cores) <= base


@given(cpus, kernels, sizes, sizes, sizes, st.integers(1, 2))
def test_no_product_is_faster_than_a_look_up_in_every_pipe_and_its_bytes(
    cpu: CpuSpec, kernel: KernelSpec, m: int, n: int, k: int, bits: int
) -> None:
    found = float(product_us(cpu, kernel, m, n, k, bits, cpu.cores))
    peak = cpu.cores * cpu.vector_pipes * cpu.vector_bytes * cpu.clock_ghz * 1e3
    assert found >= float(lookups(kernel, m, n, k, bits)) / peak
    assert found >= float(weight_bytes(kernel, n, k, bits)) / cpu.bandwidth_gb_per_s / 1e3


@pytest.mark.parametrize("bits", [0, 9, 1.58])
def test_bits_that_have_no_planes_are_refused(bits: float) -> None:
    with pytest.raises(ConfigError, match=r"^weight_bits: T-MAC takes whole numbers of 1 to 8 bits; got"):
        lookups(T_MAC, 1, 1, 4, bits)


@pytest.mark.parametrize("kernel", [TL1, TL2, I2_S])
def test_ternary_kernels_refuse_other_weights(kernel: KernelSpec) -> None:
    assert lookups(kernel, 1, 1, 6, 1.58) == lookups(kernel, 1, 1, 6, 2)
    with pytest.raises(ConfigError, match=rf"^weight_bits: {kernel.name} takes ternary weights, 1 to 2 bits; got 4"):
        lookups(kernel, 1, 1, 6, 4)


@pytest.mark.parametrize("cpu", CPUS.values())
def test_cpus_keep_the_contract_of_units(cpu: CpuSpec) -> None:
    check_unit(CpuLutUnit(cpu=cpu, core_mm2=1.0, core_w=1.0))
    for kernel in (TL1, TL2, I2_S):
        check_unit(CpuLutUnit(cpu=cpu, kernel=kernel, threads=cpu.cores, core_mm2=1.0, core_w=1.0), (1.58,))


def test_a_cpu_takes_the_power_of_its_cores_while_they_work() -> None:
    unit = CpuLutUnit(cpu=CPUS["AGX-Orin"], threads=12, core_mm2=1.0, core_w=10.4 / 12)
    # 12 cores, two pipes of 16 look-ups, 4 instructions each: 96 look-ups a cycle, 192 weights of 2 bits
    assert float(unit.peak_macs_per_cycle(2)) == 192
    assert float(unit.mac_pj(2)) == pytest.approx(10.4e3 / 2.2 / 192)
    assert unit.area_mm2 == 12


@pytest.mark.parametrize("threads", [0, 5])
def test_more_threads_than_cores_are_refused(threads: int) -> None:
    with pytest.raises(ConfigError, match=f"^threads: RaspberryPi5 has 1 to 4 threads, got {threads}$"):
        product_us(CPUS["RaspberryPi5"], T_MAC, 1, 1, 4, 2, threads)


def test_a_table_larger_than_a_register_is_refused() -> None:
    with pytest.raises(ValidationError, match="a table of 32 bytes exceeds the 16 of a register"):
        KernelSpec(**{**T_MAC.model_dump(), "group": 6, "entries": 64})


def test_every_parameter_and_every_cpu_names_its_source() -> None:
    for spec in (CpuSpec, KernelSpec):
        assert [name for name in spec.model_fields if not source_of(spec, name)] == []
    assert all(len(cpu.source) > 20 for cpu in CPUS.values())
