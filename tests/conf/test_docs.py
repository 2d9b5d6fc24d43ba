from __future__ import annotations

import re
from pathlib import Path

from app.conf import load
from app.conf.docs import SAMPLE, TABLE, filled, sample
from app.conf.options import OPTIONS

HOW = "run `python -m app.conf.docs`"


def test_the_sample_file_is_of_today() -> None:
    assert SAMPLE.read_text(encoding="utf-8") == sample(), HOW


def test_the_documentations_table_is_of_today() -> None:
    page = TABLE.read_text(encoding="utf-8")
    assert page == filled(page), HOW


def test_the_sample_with_every_option_in_force_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "all.conf"
    text, uncommented = re.subn(r"^#(?=\w)", "", sample(), flags=re.MULTILINE)
    file.write_text(text)
    conf = load([str(file)], {})
    assert uncommented == len(OPTIONS)
    assert {key: conf[key.group][key.option] for key in OPTIONS} == {key: opt.default for key, opt in OPTIONS.items()}


def test_every_option_is_in_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == [key.option for key in OPTIONS]
