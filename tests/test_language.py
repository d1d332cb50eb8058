"""Words that a reader may not know, or has to read twice, do not occur in code and docs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORDS = [
    "anew", "bears", "believe", "believed", "believes", "beside", "besides", "doubt", "doubts",
    "hence", "kin", "lest", "meanwhile", "nobody", "somebody", "stumble", "stumbles", "tell",
    "tells", "thereby", "told", "whence", "whoever", "whomever",
]  # fmt: skip
PHRASES = ["is asked", "is told", "asked for", "put back", "puts back", "tell whether"]
UNWANTED = re.compile(rf"\b({'|'.join([*WORDS, *PHRASES])})\b", re.IGNORECASE)
PAGES = [
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    if "_build" not in path.parts
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_or_module_has_only_plain_words(path):
    lines = path.read_text().splitlines()
    found = [f"{number}: {line}" for number, line in enumerate(lines, 1) if UNWANTED.search(line)]
    assert found == []
