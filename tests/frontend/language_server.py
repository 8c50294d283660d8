"""A client of yaml-language-server, which is what editors ask: completions, and diagnostics."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

SETTINGS = {"yaml": {"validate": True, "completion": True, "schemaStore": {"enable": False}}}
CAPABILITIES = {
    "textDocument": {"completion": {"completionItem": {"snippetSupport": True}}},
    "workspace": {"configuration": True},
}
PATIENCE = 60  # seconds until a silent server fails the test


class LanguageServer:
    """The server in a process of its own, spoken to in JSON-RPC over its standard streams."""

    def __init__(self, script: Path, schema: Path, folder: Path) -> None:
        self.head = f"# yaml-language-server: $schema={schema.as_uri()}\n"
        self.folder = folder
        self.count = 0
        self.process = subprocess.Popen(
            ["node", str(script), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.heard: Queue[dict[str, Any]] = Queue()
        Thread(target=self._listen, daemon=True).start()
        self._ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": CAPABILITIES})
        self._say({"method": "initialized", "params": {}})

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def completions(self, text: str) -> list[str]:
        """What is offered where `|` stands: each label once, in order."""
        skeletons = 7  # the kind of an item that writes out all required keys at once
        return list(dict.fromkeys(item["label"] for item in self.items(text) if item["kind"] != skeletons))

    def items(self, text: str) -> list[dict[str, Any]]:
        """All that is offered where `|` stands."""
        before, after = text.split("|")
        uri = self._open(before + after)
        line, character = before.count("\n") + 1, len(before) - before.rfind("\n") - 1
        position = {"line": line, "character": character}
        found = self._ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": position})
        items: list[dict[str, Any]] = found["items"] if isinstance(found, dict) else found
        return items

    def diagnostics(self, text: str) -> list[tuple[str, str]]:
        """What is marked: the text under the mark, and the message."""
        uri = self._open(text)
        while True:
            message = self._next()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                lines = (self.head + text).split("\n")
                return [(_marked(lines, d["range"]), d["message"]) for d in message["params"]["diagnostics"]]

    def _open(self, text: str) -> str:
        self.count += 1
        uri = (self.folder / f"spec{self.count}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": self.head + text}
        self._say({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return uri

    def _ask(self, method: str, params: Any) -> Any:
        self.count += 1
        number = self.count
        self._say({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number:
                return message["result"]

    def _next(self) -> dict[str, Any]:
        """The next message that is an answer or news; the server's own questions are answered here."""
        while True:
            message = self.heard.get(timeout=PATIENCE)
            if "id" not in message or "method" not in message:
                return message
            asked = message["params"]["items"] if message["method"] == "workspace/configuration" else None
            result = asked and [SETTINGS.get(item.get("section", "")) for item in asked]
            self._say({"id": message["id"], "result": result})

    def _say(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def _listen(self) -> None:
        for message in self._messages():
            self.heard.put(message)

    def _messages(self) -> Iterator[dict[str, Any]]:
        stream = self.process.stdout
        assert stream
        while header := stream.readline():
            length = int(header.split(b":")[1])
            while stream.readline().strip():
                pass
            yield json.loads(stream.read(length))


def _marked(lines: list[str], span: dict[str, dict[str, int]]) -> str:
    start, end = span["start"], span["end"]
    last = end["character"] if end["line"] == start["line"] else None
    return lines[start["line"]][start["character"] : last]
