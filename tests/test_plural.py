"""Numbers with their nouns."""

import pytest

from django_future.plural import agreeing, counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (2000, "2,000 jobs")]
)
def test_a_noun_agrees_with_its_number(number, text):
    assert counted(number, "job") == text


@pytest.mark.parametrize(("number", "verb"), [(0, "wait"), (1, "waits"), (2, "wait")])
def test_a_verb_agrees_with_a_number(number, verb):
    assert agreeing(number, "waits", "wait") == verb
