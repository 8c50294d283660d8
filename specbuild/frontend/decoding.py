"""Decode the text of a spec file, check its characters, and split it into lines."""

from __future__ import annotations

import re

from specbuild.diagnostics.errors import Location, SpecError

BYTE_LIMIT = 2**20

# Characters that are not printable in YAML, that editors and parsers do not all count as line breaks, or that
# are invisible.
REFUSED_CHARACTERS = (
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
REFUSED_ASCII = re.compile("[^\t\n\r\x20-\x7e]")
LONE_RETURN = re.compile("\r(?!\n)")


class SpecText:
    """Valid text for the parser, with line feeds only, and the locations in it."""

    def __init__(self, content: str | bytes, file: str) -> None:
        self.file = file
        text = self._decode_text(content)
        self.lines = [line.removesuffix("\r") for line in text.split("\n")]
        refused = find_refused_character(text) or LONE_RETURN.search(text)
        if refused:
            raise self._character_error(text, refused.start())
        self.text = "\n".join(self.lines)
        self._refuse_directives()

    def location_at(self, line: int, column: int) -> Location:
        """Return the location at a line and column that count from 0, as in the parser."""
        return Location(self.file, line + 1, column + 1, self.lines[line] if line < len(self.lines) else "")

    def location_of_index(self, index: int) -> Location:
        """Return the location of a character of `text`."""
        before = self.text[:index]
        return self.location_at(before.count("\n"), index - before.rfind("\n") - 1)

    def _refuse_directives(self) -> None:
        """Refuse `%` before the document, because the parser needs seconds for thousands of directives."""
        for number, line in enumerate(self.lines):
            if line.startswith("%"):
                message = (
                    "`%` at the start of a line is a YAML directive; directives are not allowed in a spec"
                )
                raise SpecError("SB009", message, self.location_at(number, 0), "remove the line")
            if line.strip(" \t") and not line.lstrip(" \t").startswith("#"):
                return

    def _decode_text(self, content: str | bytes) -> str:
        encoded = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        if len(encoded) > BYTE_LIMIT:
            raise SpecError(
                "SB006",
                "the file has more than 1 MiB (1,048,576 bytes)",
                Location(self.file, 1, 1, ""),
                "split it, and import the parts",
            )
        if isinstance(content, bytes):
            try:
                content = content.decode("utf-8")
            except UnicodeDecodeError as error:
                raise self._encoding_error(encoded, error.start) from None
        return content.removeprefix("\ufeff")

    def _encoding_error(self, content: bytes, index: int) -> SpecError:
        start = content.rfind(b"\n", 0, index) + 1
        end = content.find(b"\n", index)
        line = content[start : end if end >= 0 else len(content)].removesuffix(b"\r")
        before = content[start:index].decode("utf-8")
        text = line.decode("utf-8", "replace")
        if start == 0:
            before, text = before.removeprefix("\ufeff"), text.removeprefix("\ufeff")
        return SpecError(
            "SB002",
            f"the file is not UTF-8: byte 0x{content[index]:02x} is not valid here",
            Location(self.file, content.count(b"\n", 0, index) + 1, len(before) + 1, text),
            "save the file as UTF-8",
        )

    def _character_error(self, text: str, index: int) -> SpecError:
        line = text.count("\n", 0, index)
        return refused_character_error(
            text[index], self.location_at(line, index - text.rfind("\n", 0, index) - 1)
        )


def find_refused_character(text: str) -> re.Match[str] | None:
    """Return the first character that no spec may have. To compile the pattern of all characters takes 5 ms."""
    return REFUSED_ASCII.search(text) if text.isascii() else re.search(REFUSED_CHARACTERS, text)


def refused_character_error(character: str, location: Location) -> SpecError:
    """Return the error for a character that is not allowed in a spec, neither directly nor as an escape."""
    hint = "remove it"
    if character == "\r":
        hint = "a carriage return must be followed by a line feed: save the file with LF or CRLF line endings"
    elif "\ud800" <= character <= "\udfff":
        hint = r'this is half of a surrogate pair; write the character itself, or its code as "\U0001F600"'
    return SpecError(
        "SB008", f"the character U+{ord(character):04X} is not allowed in a spec", location, hint
    )
