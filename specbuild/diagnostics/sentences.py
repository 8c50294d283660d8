"""Texts of documentation: where a first sentence ends."""

from __future__ import annotations

import re

# After these, a full stop and a capital or a number do not begin a sentence.
ABBREVIATIONS = ("al", "e.g", "i.e", "cf", "vs", "Fig", "Eq", "Sec")
SENTENCE_END = re.compile(
    "".join(rf"(?<!\b{re.escape(word)})" for word in ABBREVIATIONS) + r"\.\s+(?=[A-Z0-9`])"
)


def first_sentence(text: str) -> str:
    """The first sentence of a text, without its full stop."""
    head = " ".join(text.strip().split("\n\n")[0].split())
    return SENTENCE_END.split(head)[0].rstrip(".")
