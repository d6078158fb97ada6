"""The journal returns appended entries in order, even if the writer was interrupted."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.emulator.journal import HEADER, DamagedJournal, Journal, records, segments
from tests.waiting import PATIENCE


def test_records_come_back_in_order_across_segments(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"one").result(PATIENCE)
    second = journal.begin_segment()
    durable = [journal.append(f"{n}".encode()) for n in range(50)]
    for future in durable:
        future.result(PATIENCE)

    assert list(records(tmp_path, 0)) == [b"one", *(f"{n}".encode() for n in range(50))]
    assert list(records(tmp_path, second)) == [f"{n}".encode() for n in range(50)]


def test_segments_of_a_saved_state_are_discarded_and_the_numbers_go_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"saved")
    number = journal.begin_segment()
    journal.discard_before(number)
    journal.append(b"since").result(PATIENCE)

    assert list(segments(tmp_path)) == [number]
    assert Journal(tmp_path).begin_segment() > number
    assert list(records(tmp_path, number)) == [b"since"]


@given(whole=st.lists(st.binary(max_size=300), max_size=8), last=st.binary(min_size=1, max_size=300), data=st.data())
def test_a_record_cut_short_is_left_out_and_all_before_it_kept(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes], last: bytes, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    for record in whole:
        journal.append(record)
    journal.append(last).result(PATIENCE)
    path = next(iter(segments(folder).values()))
    cut = data.draw(st.integers(min_value=1, max_value=len(last) + HEADER.size))
    os.truncate(path, path.stat().st_size - cut)

    assert list(records(folder, 0)) == whole


def test_damage_inside_a_segment_is_told_and_not_skipped(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"first")
    journal.append(b"second").result(PATIENCE)
    path = next(iter(segments(tmp_path).values()))
    content = bytearray(path.read_bytes())
    content[HEADER.size] ^= 1
    path.write_bytes(content)

    with pytest.raises(DamagedJournal, match="damaged at byte 0"):
        list(records(tmp_path, 0))


def test_a_full_disk_is_an_error_and_leaves_the_journal_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.append(b"before").result(PATIENCE)
    write = os.write

    def half_then_full(file: int, content: bytes) -> int:
        if len(content) > 9:
            return write(file, bytes(content)[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OSError, match="No space"):
        journal.append(b"x")
    monkeypatch.undo()
    journal.append(b"after").result(PATIENCE)

    assert list(records(tmp_path, 0)) == [b"before", b"after"]


def test_a_journal_for_killed_processes_acknowledges_before_the_disk_has_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fdatasync", lambda _: threading.Event().wait())
    assert Journal(tmp_path / "process", "process").append(b"one").done()
    assert not Journal(tmp_path / "disk").append(b"one").done()
    assert list(records(tmp_path / "process", 0)) == [b"one"], "the operating system has it"


def test_a_journal_for_killed_processes_reaches_the_disk_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _: synced.set())
    Journal(tmp_path, "process").append(b"one")
    assert synced.wait(PATIENCE)
