"""The characters of a spec file: decoded, checked, cut into lines."""

from __future__ import annotations

import re

from specbuild.diagnostics.errors import Place, SpecError

BYTE_LIMIT = 2**20

# Not printable in YAML, or a line break that editors and parsers count differently, or invisible.
REFUSED = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
LONE_RETURN = re.compile("\r(?!\n)")


class SpecText:
    """Text fit for the parser, with line feeds only, and the places in it."""

    def __init__(self, content: str | bytes, file: str) -> None:
        self.file = file
        text = self._decode(content)
        self.lines = [line.removesuffix("\r") for line in text.split("\n")]
        wrong = REFUSED.search(text) or LONE_RETURN.search(text)
        if wrong:
            raise self._character(text, wrong.start())
        self.text = "\n".join(self.lines)
        self._no_directive()

    def place(self, line: int, column: int) -> Place:
        """The place at a line and column counted from zero, as the parser counts."""
        return Place(self.file, line + 1, column + 1, self.lines[line] if line < len(self.lines) else "")

    def place_at(self, index: int) -> Place:
        """The place of a character of `text`."""
        before = self.text[:index]
        return self.place(before.count("\n"), index - before.rfind("\n") - 1)

    def _no_directive(self) -> None:
        """Refuse `%` before the document; thousands of directives would take the parser seconds."""
        for number, line in enumerate(self.lines):
            if line.startswith("%"):
                message = "`%` at the start of a line is a YAML directive; a spec has none"
                raise SpecError("SB009", message, self.place(number, 0), "remove the line")
            if line.strip(" \t") and not line.lstrip(" \t").startswith("#"):
                return

    def _decode(self, content: str | bytes) -> str:
        encoded = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        if len(encoded) > BYTE_LIMIT:
            raise SpecError(
                "SB006",
                "the file has more than 1 MiB (1,048,576 bytes)",
                Place(self.file, 1, 1, ""),
                "split it, and import the parts",
            )
        if isinstance(content, bytes):
            try:
                content = content.decode("utf-8")
            except UnicodeDecodeError as error:
                raise self._not_utf8(encoded, error.start) from None
        return content.removeprefix("\ufeff")

    def _not_utf8(self, content: bytes, index: int) -> SpecError:
        start = content.rfind(b"\n", 0, index) + 1
        end = content.find(b"\n", index)
        line = content[start : end if end >= 0 else len(content)].removesuffix(b"\r")
        before = content[start:index].decode("utf-8")
        text = line.decode("utf-8", "replace")
        if start == 0:
            before, text = before.removeprefix("\ufeff"), text.removeprefix("\ufeff")
        return SpecError(
            "SB002",
            f"the file is not UTF-8: byte 0x{content[index]:02x} cannot stand here",
            Place(self.file, content.count(b"\n", 0, index) + 1, len(before) + 1, text),
            "save the file as UTF-8",
        )

    def _character(self, text: str, index: int) -> SpecError:
        line = text.count("\n", 0, index)
        return refused_character(text[index], self.place(line, index - text.rfind("\n", 0, index) - 1))


def refused_character(character: str, place: Place) -> SpecError:
    """The fault of a character that may not stand in a spec, neither as such nor as an escape."""
    hint = "remove it"
    if character == "\r":
        hint = "a carriage return may only stand before a line feed: save the file with LF or CRLF line ends"
    elif "\ud800" <= character <= "\udfff":
        hint = r'half of a surrogate pair; write the character itself, or its code as "\U0001F600"'
    return SpecError("SB008", f"the character U+{ord(character):04X} may not stand in a spec", place, hint)
