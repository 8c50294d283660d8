"""Sentences in documentation texts."""

from __future__ import annotations

import re

# A full stop after one of these does not end a sentence.
ABBREVIATIONS = ("al", "e.g", "i.e", "cf", "vs", "Fig", "Eq", "Sec")
SENTENCE_END = re.compile(
    "".join(rf"(?<!\b{re.escape(word)})" for word in ABBREVIATIONS) + r"\.\s+(?=[A-Z0-9`])"
)


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, without its full stop."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return SENTENCE_END.split(paragraph)[0].rstrip(".")
