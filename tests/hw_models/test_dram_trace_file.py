"""Request traces: formats, what is refused in which words, and memory that does not grow."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.device import device
from cairn.hw_models.dram.mapping import ORDERS, AddressMap
from cairn.hw_models.dram.request_list import RequestBlock, pattern
from cairn.hw_models.dram.simulate import simulate_channel
from cairn.hw_models.dram.trace_columns import BLOCK
from cairn.hw_models.dram.trace_file import read_trace

DDR4 = AddressMap.named(device("DDR4_2400R"), "bank_group_first")
HBM3 = AddressMap.named(device("HBM3_6400"), "bank_group_first")
ARRAYS = ("arrive", "write", "bank", "row")


def joined(blocks: Iterable[RequestBlock]) -> RequestBlock:
    parts = list(blocks)
    return RequestBlock(*(np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS))


def read(file: Path, text: str | bytes, mapping: AddressMap = DDR4, wrap: bool = False) -> RequestBlock:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return joined(read_trace(file, mapping, wrap=wrap))


def same(one: RequestBlock, other: RequestBlock) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)


def of_address(address: list[int], write: list[int], arrive: list[int], mapping: AddressMap = DDR4) -> RequestBlock:
    fields = mapping.fields(np.array(address) // mapping.device.organisation.transaction_bytes)
    return RequestBlock.of_fields(mapping.device, np.array(arrive), np.array(write), fields)


EXPECTED = of_address([0x1F00, 64, 0x12340], [0, 1, 0], [0, 0, 0])
TIMED = of_address([0x1F00, 64, 0x12340], [0, 1, 0], [0, 7, 7])


@pytest.mark.parametrize(
    "text",
    [
        "0x1f00 R\n0x40 W\n0x12340 R\n",
        "R 0x1F00\nW 0X40\nR 0x12340",
        "LD 0x1f00\nST 64\nload 74560\n",
        "0x1f00,read\r\n64 , WRITE\r\n\r\n0x12340\tRD  # the last\r\n",
        "0x1f00 P_MEM_RD\n0x40 P_MEM_WR\n0x12340 P_FETCH\n",
        "# a comment, with commas and ünïcode\n\n  address,type\n0x1f00,R\n0x40,1\n74560,0\n",
        '"type","address"\n"R","7936"\n"st","64"\n"R","0x12340"\n',
        b"\xef\xbb\xbfType Address\nR 7936\nW 64\nR 0x12340\n",
    ],
)
def test_each_way_to_write_addresses_means_the_same(tmp_path: Path, text: str | bytes) -> None:
    assert same(read(tmp_path / "trace.txt", text), EXPECTED)


@pytest.mark.parametrize(
    "text",
    [
        "0x1f00 READ 0\n0x40 WRITE 7\n0x12340 READ 7\n",
        "R 0x1f00 0\nW 0x40 7\nR 0x12340 7\n",
        "arrive,type,address\n0,R,0x1f00\n7,W,0x40\n7,R,0x12340\n",
        "type address arrive_ns\nR 0x1f00 0\nW 0x40 5.831\nR 0x12340 5.8310009\n",
        "type address arrive_ns\nR 0x1f00 0.\nW 0x40 4.999\nR 0x12340 5\n",
    ],
)
def test_arrivals_are_ticks_or_nanoseconds_rounded_up_to_a_tick(tmp_path: Path, text: str) -> None:
    assert DDR4.device.tick_ps == 833
    assert same(read(tmp_path / "trace.txt", text), TIMED)


def test_half_clocks_count_in_nanoseconds_of_hbm3(tmp_path: Path) -> None:
    block = read(tmp_path / "t.csv", "type,address,arrive_ns\nR,0,0.312\nR,0,0.313\nR,0,1\n", HBM3)
    assert block.arrive.tolist() == [1, 2, 4]


def test_fields_name_bank_and_row(tmp_path: Path) -> None:
    by_field = read(tmp_path / "a.csv", "row,pc,rk,bg,ba,type,col\n5,1,0,2,3,R,31\n6,0,1,0,1,W,0\n", HBM3)
    by_bank = read(tmp_path / "b.csv", "bank row type\n43 5 R\n17 6 W\n", HBM3)
    assert same(by_field, by_bank)
    assert (by_bank.bank.tolist(), by_bank.row.tolist(), by_bank.write.tolist()) == ([43, 17], [5, 6], [0, 1])
    partly = read(tmp_path / "c.csv", "bg,row,type\n2,5,R\n", HBM3)
    assert partly.bank.tolist() == [8]


@pytest.mark.parametrize("order", [*ORDERS, "bank_first_xor"])
def test_a_pattern_written_as_a_trace_gives_the_same_result(tmp_path: Path, order: str) -> None:
    mapping = AddressMap.named(HBM3.device, order)
    index = np.random.default_rng(3).integers(0, mapping.device.transactions, 4000)
    write = (np.arange(4000) % 3 == 2).astype(np.int64)
    direct = RequestBlock.of_fields(mapping.device, np.arange(4000) * 2, write, mapping.fields(index))
    lines = (f"{i * 32 + 5:#x} {'RW'[w]} {2 * n}\n" for n, (i, w) in enumerate(zip(index, write, strict=True)))
    (tmp_path / "t.txt").write_text("".join(lines))
    result = simulate_channel(mapping.device, None, read_trace(tmp_path / "t.txt", mapping))
    assert result.as_dict() == simulate_channel(mapping.device, None, direct).as_dict()


def test_gzip_and_parquet_hold_the_same_as_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"address": [0x1F00, 64, 0x12340], "type": ["R", "W", "LD"], "arrive": [0, 7, 7]})
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    assert same(joined(read_trace(tmp_path / "t.csv.gz", DDR4)), TIMED)
    assert same(joined(read_trace(tmp_path / "t.parquet", DDR4)), TIMED)
    for types in ([0, 1, 0], [False, True, False], pd.Categorical(["R", "W", "R"])):
        frame["type"] = types
        frame.to_parquet(tmp_path / "u.parquet", index=False)
        assert same(joined(read_trace(tmp_path / "u.parquet", DDR4)), TIMED)
    timed = frame.drop(columns="arrive").assign(arrive_ns=[0.0, 5.831, 5.8310001])
    timed.to_parquet(tmp_path / "v.parquet", index=False)
    assert same(joined(read_trace(tmp_path / "v.parquet", DDR4)), TIMED)


def test_addresses_wrap_when_asked(tmp_path: Path) -> None:
    capacity = DDR4.device.capacity_bytes
    text = f"{capacity + 0x1F00:#x} R\n{5 * capacity + 64} W\n0x12340 R\n"
    assert same(read(tmp_path / "t.txt", text, wrap=True), EXPECTED)


TYPES = "must be one of R, W, read, write, RD, WR, LD, ST, load, store, 0 or 1"
ALLOWED = "(allowed: address, arrive, arrive_ns, ba, bank, bg, col, pc, rk, row, type)"
NO_HEADER = (
    "a trace without a header has lines such as '0x1f00 R', 'R 0x1f00' or '0x1f00 R 12', not {}; "
    "name other columns in a header line"
)
REFUSED = [
    ("", ": holds no requests"),
    ("\n# nothing\n", ": holds no requests"),
    ("address,type\n", ": holds no requests"),
    ("0x10 R\n0x20\n", ":2: has 1 field instead of 2 (address, type): '0x20'"),
    ("0x10 R\n\n# c\n0x20 R 5\n", ":4: has 3 fields instead of 2 (address, type): '0x20 R 5'"),
    ("address,type,arrive\n0,R,0\n64,,5\n", ":3: has an empty field: '64,,5'"),
    ("address,type\n0,R,\n", ":2: has an empty field: '0,R,'"),
    ("address,type\n,0,R\n", ":2: has an empty field: ',0,R'"),
    ("0x10 R\n0xfg R\n", ":2: address is '0xfg', must be a whole number"),
    ("0x10 R\n1.5 R\n", ":2: address is '1.5', must be a whole number"),
    ("0x10 R\n-64 R\n", ":2: address is -64, must be 0 or more"),
    ("0x10 R\n0x5000000000000000 R\n", ":2: address is 0x5000000000000000, which is too large a number"),
    ("0x10 R\n0x20 X\n", f":2: type is 'X', {TYPES}"),
    ("type,address\nREADWRITE,5\n", f":2: type is 'READWRITE', {TYPES}"),
    ("type,address,arrive_ns\nR,5,1e3\n", ":2: arrive_ns is '1e3', must be a number of nanoseconds such as 12.5"),
    ("type,address,arrive_ns\nR,5,-1.5\n", ":2: arrive_ns is -1.5, must be 0 or more"),
    ("0x10 R\n0x200000000 R\n", ":2: address 0x200000000 lies beyond the capacity of the channel, 8,589,934,592 bytes "
     "(0x200000000); wrap (--wrap) counts addresses modulo the capacity"),
    ("bank,row,type\n3,5,R\n16,5,R\n", ":3: bank 16 does not exist: DDR4_2400R has 16, from 0 on"),
    ("bg,row,type\n3,5,R\n4,5,R\n", ":3: bg 4 does not exist: DDR4_2400R has 4, from 0 on"),
    ("bank,row,type\n3,65536,R\n", ":2: row 65,536 does not exist: DDR4_2400R has 65,536, from 0 on"),
    ("0 R 5\n0 R 9\n0 R 8\n", ":3: arrive 8 comes before 9, that of the request before; requests stand in the order of "
     "their arrival"),
    ("address,type,arrive_ns\n0,R,5.5\n0,R,5.25\n", ":3: arrive_ns 5.25 comes before 5.5, that of the request before; "
     "requests stand in the order of their arrival"),
    ("0 R 1000000000001\n", ":1: arrive 1000000000001 is more than 1,000,000,000,000 (1,000,000,000,000 ticks): "
     "arrivals count from the beginning of the trace"),
    ("address,type,arive\n", f":1: there is no column 'arive'; did you mean 'arrive'? {ALLOWED}"),
    ("# c\naddress,address,type\n", ":2: column address stands there twice"),
    ("address,arrive\n", ":1: column type is missing"),
    ("address,type,arrive,arrive_ns\n", ":1: arrive and arrive_ns say the same; leave one out"),
    ("address,row,type\n", ":1: address already says the row; leave one out"),
    ("row,type\n", ":1: either address is needed, or row and a bank (bank, or any of pc, rk, bg, ba)"),
    ("bank,row,bg,type\n", ":1: bank already says the bg; leave one out"),
    ("5 1\n", ":1: " + NO_HEADER.format("'5 1'")),
    ("0x10 R 5 6\n", ":1: " + NO_HEADER.format("'0x10 R 5 6'")),
    (b"0x10 R\n0x2\xff R\n", ":2: is not UTF-8 text"),
    ("0x10 R\n".encode("utf-16"), ": is UTF-16 text; save it as UTF-8"),
    (b"\x7fELF\0\0\0\0\n", ": is not text (it has zero bytes); a trace is .csv, .txt, .gz or .parquet"),
    (b"0x10 R\n" + b"5" * (1 << 21), ": has a line of more than 1,048,576 bytes; is it a trace?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    file = tmp_path / "trace.txt"
    with pytest.raises(ConfigError) as caught:
        read(file, text)
    assert str(caught.value) == f"{file}{message}"


def test_the_line_is_right_deep_in_a_long_trace(tmp_path: Path) -> None:
    lines = ["0x40 R\n", "# comment\n", "\n"] * 100_000
    lines[250_001] = "0x40 Q\n"
    with pytest.raises(ConfigError, match=r"t\.txt:250002: type is 'Q'"):
        read(tmp_path / "t.txt", "".join(lines))
    lines[250_001] = "0xfffffffffff W\n"
    with pytest.raises(ConfigError, match=r"t\.txt:250002: address 0xfffffffffff lies beyond"):
        read(tmp_path / "t.txt", "".join(lines))


def test_arrivals_that_go_back_between_two_blocks_are_seen(tmp_path: Path) -> None:
    lines = [f"0x40 R {number}\n" for number in range(BLOCK)] + ["0x40 R 7\n"]
    with pytest.raises(ConfigError, match=rf"t\.txt:{BLOCK + 1}: arrive 7 comes before {BLOCK - 1}, that of the"):
        read(tmp_path / "t.txt", "".join(lines))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"address": [0, None], "type": ["R", "W"]}, "column address holds double, must hold whole numbers"),
        ({"address": pd.array([0, None], dtype="Int64"), "type": ["R", "W"]}, "record 2: address is missing"),
        ({"address": [0, -5], "type": ["R", "W"]}, "record 2: address is -5, must be 0 or more"),
        ({"address": [0, 1 << 40], "type": ["R", "W"]}, "record 2: address 0x10000000000 lies beyond the capacity of "
         "the channel, 8,589,934,592 bytes (0x200000000); wrap (--wrap) counts addresses modulo the capacity"),
        ({"address": [0, 1 << 62], "type": ["R", "W"]}, f"record 2: address is {1 << 62}, which is too large a number"),
        ({"address": [0, 5], "type": ["R", "Q"]}, f"record 2: type is 'Q', {TYPES}"),
        ({"address": [0, 5], "type": [1, 2]}, f"record 2: type is 2, {TYPES}"),
        ({"address": [0, 5], "type": ["R", None]}, "record 2: type is missing"),
        ({"address": [0, 5], "type": [0.5, 1.0]}, "column type holds double, must hold text, whole numbers or "
         "booleans"),
        ({"address": [0, 5], "type": [0, 1], "arrive": [5, 4]}, "record 2: arrive 4 comes before 5, that of the "
         "request before; requests stand in the order of their arrival"),
        ({"address": [0, 5], "type": [0, 1], "arrive_ns": [1.0, float("inf")]}, "record 2: arrive_ns is inf, must be a "
         "number of nanoseconds such as 12.5"),
        ({"addres": [0, 5], "type": [0, 1]}, f"there is no column 'addres'; did you mean 'address'? {ALLOWED}"),
        ({"address": [], "type": []}, "holds no requests"),
    ],
)  # fmt: skip
def test_a_mistake_in_parquet_is_told_with_its_record(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    file = tmp_path / "t.parquet"
    pd.DataFrame(columns).to_parquet(file, index=False)
    with pytest.raises(ConfigError) as caught:
        joined(read_trace(file, DDR4))
    assert str(caught.value) == f"{file}: {message}"


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    def refused(file: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            list(read_trace(file, DDR4))
        return str(caught.value).removeprefix(f"{file}: ")

    assert refused(tmp_path / "none.txt") == "cannot be read: No such file or directory"
    assert refused(tmp_path) == "cannot be read: Is a directory"
    (tmp_path / "no.parquet").write_text("address,type\n")
    assert refused(tmp_path / "no.parquet").startswith("is no whole Parquet file: ")
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as packed:
        packed.write(b"0x40 R\n" * 100_000)
    (tmp_path / "cut.gz").write_bytes(buffer.getvalue()[:100])
    assert refused(tmp_path / "cut.gz") == (
        "is no whole gzip file: Compressed file ended before the end-of-stream marker was reached"
    )
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8b" + b"\x01" * 20)
    assert refused(tmp_path / "bad.gz") == "is no whole gzip file: Unknown compression method"


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz", "t.parquet"])
def test_blocks_and_memory_stay_small_however_long_the_trace(tmp_path: Path, name: str) -> None:
    count = 300_000
    file = tmp_path / name
    whole = pattern("stream_rd", count, DDR4)
    if name.endswith(".parquet"):
        table = pd.DataFrame({"bank": whole.bank, "row": whole.row, "type": whole.write})
        table.to_parquet(file, index=False, row_group_size=BLOCK)
    else:
        text = "".join(f"{number * 64:#x} R\n" for number in range(count)).encode()
        file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    list(read_trace(file, DDR4))  # compiled, loaded
    told: list[float] = []
    sizes, parts = [], []
    tracemalloc.start()
    for block in read_trace(file, DDR4, progress=told.append):
        sizes.append(len(block))
        parts.append((int(block.bank.sum()), int(block.row.sum())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == count and max(sizes) <= BLOCK
    assert tuple(np.sum(parts, axis=0)) == (whole.bank.sum(), whole.row.sum())
    assert peak < 16 * 2**20  # 300,000 requests as a whole are 9.6 MB of blocks and as much again of columns
    assert told == sorted(told) and 0 < told[0] <= told[-1] == 1.0


def test_a_longer_trace_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for repeat in (1, 8):
        file = tmp_path / f"{repeat}.txt"
        file.write_text("0x1f40 R\n" * 200_000 * repeat)
        list(read_trace(file, DDR4))
        tracemalloc.start()
        for _ in read_trace(file, DDR4):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
