"""Packed rows: what fits into 32 bytes, and that it comes out again as it went in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from insiders_codecs.packing import ROW, PackedBlock, RowTable, pack, unpack
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

NAN = float("nan")


@st.composite
def blocks(draw: st.DrawFn) -> SampleBlock:
    """Blocks of values with as many decimals as the scales keep, the edges of their ranges among them."""
    rows = draw(st.integers(0, 5))
    values = [
        [
            NAN if packed is None else packed / q.scale
            for packed in draw(
                st.lists(
                    st.none() | st.integers(round(q.lowest * q.scale), round(q.highest * q.scale)),
                    min_size=rows,
                    max_size=rows,
                )
            )
        ]
        for q in QUANTITIES
    ]
    times = draw(st.lists(st.integers(0, 2**45), min_size=rows, max_size=rows, unique=True))
    return SampleBlock(np.array(sorted(times), np.int64), np.array(values, np.float64).reshape(len(QUANTITIES), rows))


@given(blocks())
def test_what_was_packed_is_unpacked(block: SampleBlock) -> None:
    rows = pack(block)
    np.testing.assert_array_equal(rows["t_ms"], block.t_ms)
    np.testing.assert_array_equal(unpack(rows), block.values)


@given(blocks())
def test_the_cells_are_the_integers_that_clients_are_told_of(block: SampleBlock) -> None:
    rows = pack(block)
    for quantity, values in zip(QUANTITIES, block.values, strict=True):
        cells = rows[quantity.name]
        assert cells.dtype == np.dtype(quantity.dtype)
        assert cells.tolist() == [
            quantity.missing if np.isnan(value) else round(value * quantity.scale) for value in values
        ]


def test_a_row_is_a_record_of_32_bytes_without_padding() -> None:
    assert ROW.itemsize == 32
    assert ROW.itemsize == sum(ROW[place].itemsize for place in range(len(ROW.names or ())))
    assert ROW.names == ("t_ms", *(quantity.name for quantity in QUANTITIES), "flags")


def test_what_stood_in_the_memory_before_is_written_over() -> None:
    values = np.array([[q.highest] * 3 for q in QUANTITIES], np.float64)
    table = RowTable(4)
    table.write(0, SampleBlock(np.array([1, 2, 3]), values), flags=255)
    table.write(1, SampleBlock(np.array([9]), np.full((len(QUANTITIES), 1), NAN)), flags=1)
    assert table.t_ms.tolist() == [1, 9, 3, 0]
    assert table.flags.tolist() == [255, 1, 255, 0]
    assert np.isnan(unpack(table.rows)[:, 1]).all()
    np.testing.assert_array_equal(unpack(table.rows)[:, [0, 2]], values[:, :2])


def test_a_packed_block_reads_like_the_block_it_was_packed_from() -> None:
    values = np.array([[q.lowest, NAN, q.highest] for q in QUANTITIES], np.float64)
    block = SampleBlock(np.array([100, 200, 300]), values)
    packed = PackedBlock(pack(block))
    assert len(packed) == 3
    np.testing.assert_array_equal(packed.t_ms, block.t_ms)
    np.testing.assert_array_equal(packed.values, block.values)
    np.testing.assert_array_equal(packed.column(Column.POWER), block.column(Column.POWER))
    np.testing.assert_array_equal(packed.take([2, 0]).values, block.take([2, 0]).values)
