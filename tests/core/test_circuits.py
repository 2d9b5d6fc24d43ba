"""The table that all workers share."""

from __future__ import annotations

import os
import warnings

import pytest

from app.core.circuits import FIRST_PLACE, LEVELS, ROWS, STATE, WIDTH, Circuits, key_of
from app.core.origin import Origin


def is_open(circuits: Circuits, row: int) -> bool:
    return bool(circuits.words[row + STATE] & LEVELS)


def test_a_key_has_a_row_of_its_own_and_keeps_it() -> None:
    circuits = Circuits()
    keys = [5, 5 + ROWS, 5 + 2 * ROWS, 6, ROWS - 1, 2 * ROWS - 1]  # all but the last but one want another's
    rows = [circuits.find(key, 0.0) for key in keys]
    assert len(set(rows)) == len(keys)
    assert [circuits.find(key, 9.0) for key in keys] == rows
    assert all(row % WIDTH == 0 and row < ROWS * WIDTH for row in rows)


def test_a_new_key_takes_the_row_of_a_closed_circuit_and_never_that_of_an_open_one() -> None:
    circuits = Circuits()
    rows = {key: circuits.find(key, 0.0) for key in range(1, ROWS + 1)}
    for key, row in rows.items():
        if key != 300:
            circuits.put(row, 5.0, 1)
    before = circuits.words[rows[300] + STATE]
    assert circuits.find(7 + ROWS, 1.0) == rows[300]
    assert circuits.words[rows[300] + STATE] != before  # what was let through for the other counts no longer
    assert [circuits.find(key, 1.0) == row for key, row in rows.items() if key != 300] == [True] * (ROWS - 1)


def test_with_more_open_circuits_than_rows_one_is_forgotten_not_shared() -> None:
    circuits = Circuits()
    for key in range(1, ROWS + 1):
        circuits.put(circuits.find(key, 0.0), 5.0, 1)
    row = circuits.find(7 + ROWS, 1.0)
    assert not is_open(circuits, row)
    assert sum(is_open(circuits, number * WIDTH) for number in range(ROWS)) == ROWS - 1


def test_it_is_the_one_whose_time_was_over_first() -> None:
    """What a reload took out of the map, nobody opens again."""
    circuits = Circuits()
    for key in range(1, ROWS + 1):
        circuits.put(circuits.find(key, 0.0), 4.0 if key == 300 else 5.0, 1)
    gone = circuits.find(300, 0.0)
    assert circuits.find(7 + ROWS, 9.0) == gone


def test_a_new_state_has_free_places() -> None:
    circuits = Circuits()
    row = circuits.find(3, 0.0)
    neighbour = circuits.find(4, 0.0)
    circuits.words[row + FIRST_PLACE] = circuits.words[neighbour + FIRST_PLACE] = 9
    word = circuits.put(row, 12.5, 7)
    assert (word >> 8, word & LEVELS, circuits.words[row + STATE]) == (12_500_000, 7, word)
    assert circuits.words[row + FIRST_PLACE] == 0
    assert circuits.words[neighbour + FIRST_PLACE] == 9


@pytest.mark.parametrize("uptime", [1.0, 1e9])
def test_a_state_fits_its_word_whatever_the_uptime(uptime: float) -> None:
    circuits = Circuits()
    row = circuits.find(3, uptime)
    assert circuits.put(row, uptime, LEVELS) >> 8 == int(uptime * 1e6)


def test_what_one_process_writes_all_read() -> None:
    circuits = Circuits()
    with warnings.catch_warnings(action="ignore"):  # eventlet's hub may have threads; the child only writes a word
        pid = os.fork()
    if not pid:
        circuits.put(circuits.find(11, 0.0), 99.0, 2)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert is_open(circuits, circuits.find(11, 0.0))


def test_a_plugin_at_another_address_is_another_key_and_no_key_is_0() -> None:
    one, other = Origin("http", "a", 1), Origin("http", "a", 2)
    assert len({key_of("x", one), key_of("x", other), key_of("y", one)}) == 3
    assert key_of("x", one) == key_of("x", Origin("http", "a", 1)) > 0
