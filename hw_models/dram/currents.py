"""Energies of a DRAM's commands from the supply currents of its data sheet.

A data sheet gives the average current of a device that repeats one thing: IDD0 activates and precharges one bank every
row cycle, IDD2N and IDD3N wait with all banks closed or with one open, IDD4R and IDD4W read and write without a pause,
IDD5AB refreshes without a pause. What a command takes is the charge of its loop less the charge that waiting would have
taken in the same time, times the voltage; waiting itself is power that is always drawn. Micron's technical notes on
system power (TN-46-03) reason so, and DRAMsim3 (@29817593, configuration.cc) has the same differences.
"""

from __future__ import annotations

from typing import Final

from cairn.base.spec import Spec, sourced

_HBM2 = "reference/stacked3d/dram_device.yaml (dev.hbm2_8gb, from DRAMsim3 @29817593 configs/HBM2_8Gb_x128.ini)"


class Currents(Spec):
    """Supply voltage (V), currents (mA) and the times they are meant for (ns) of one channel of HBM2.

    1 mA at 1 V for 1 ns is 1 pJ.
    """

    vdd_v: float = sourced(1.2, _HBM2, gt=0)
    idd0_ma: float = sourced(65, _HBM2, ge=0)
    idd2n_ma: float = sourced(40, _HBM2, ge=0)
    idd3n_ma: float = sourced(55, _HBM2, ge=0)
    idd4r_ma: float = sourced(390, _HBM2, ge=0)
    idd4w_ma: float = sourced(500, _HBM2, ge=0)
    idd5ab_ma: float = sourced(250, _HBM2, ge=0)
    t_ras_ns: float = sourced(34, _HBM2, gt=0)
    t_rp_ns: float = sourced(14, _HBM2, gt=0)
    t_rfc_ns: float = sourced(260, _HBM2, gt=0)
    burst_ns: float = sourced(2, f"{_HBM2}: 4 transfers, two in a cycle of 1 ns", gt=0)
    burst_bits: int = sourced(512, f"{_HBM2}: 4 transfers of 128 bits", gt=0)
    row_bits: int = sourced(
        16384, f"{_HBM2}: 64 columns of two transfers of 128 bits, as DRAMsim3 sizes the channel", gt=0
    )
    capacity_bits: int = sourced(1 << 33, f"{_HBM2}: 16 banks of 32768 such rows", gt=0)

    @property
    def activate_pj(self) -> float:
        """One activate and its precharge: IDD0 for tRC, less IDD3N while the row is open and IDD2N while it is not."""
        waiting = self.idd3n_ma * self.t_ras_ns + self.idd2n_ma * self.t_rp_ns
        return self.vdd_v * (self.idd0_ma * (self.t_ras_ns + self.t_rp_ns) - waiting)

    @property
    def read_pj(self) -> float:
        """One burst read, up to the pins: IDD4R does not hold the current of the output drivers."""
        return self.vdd_v * (self.idd4r_ma - self.idd3n_ma) * self.burst_ns

    @property
    def write_pj(self) -> float:
        """One burst written, from the pins on."""
        return self.vdd_v * (self.idd4w_ma - self.idd3n_ma) * self.burst_ns

    @property
    def refresh_pj(self) -> float:
        """One refresh of all banks."""
        return self.vdd_v * (self.idd5ab_ma - self.idd3n_ma) * self.t_rfc_ns

    @property
    def standby_open_w(self) -> float:
        """Power of a channel that waits with a row open."""
        return self.vdd_v * self.idd3n_ma / 1000

    @property
    def standby_closed_w(self) -> float:
        """Power of a channel that waits with all rows closed."""
        return self.vdd_v * self.idd2n_ma / 1000


HBM2: Final = Currents()
