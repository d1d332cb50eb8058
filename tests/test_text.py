"""Text for columns of limited size."""

import pytest

from django_future.text import shortened, storable


def test_a_short_text_is_not_changed():
    assert shortened("ä" * 50, 100) == "ä" * 50


def test_a_long_text_is_cut_in_the_middle_with_a_mark():
    text = shortened(f"begin{'x' * 1000}end", 100)
    assert text.startswith("beginx")
    assert text.endswith("xend")
    assert "\n[... 954 of 1,008 bytes are cut here ...]\n" in text
    assert text.count("x") == 1000 - 954


@pytest.mark.parametrize("character", ["x", "ä", "語", "🦊"])
@pytest.mark.parametrize("max_bytes", [100, 101, 102, 103, 65_536])
def test_a_shortened_text_never_exceeds_its_maximum(character, max_bytes):
    assert len(shortened(character * 100_000, max_bytes).encode()) <= max_bytes


def test_a_storable_text_contains_no_nul_and_no_surrogate():
    assert storable("a\0b\ud800c") == "a\\0b\\ud800c"
