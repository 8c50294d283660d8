"""Draws graphs in a process of its own, which can be stopped: JSON on stdin, JSON on stdout.

Run as a file, it imports nothing of specbuild.
"""

import base64
import json
import sys
import warnings


def main() -> None:
    warnings.simplefilter("ignore")
    import pygraphviz

    request = json.load(sys.stdin)
    results = []
    for text in request["graphs"]:
        graph = pygraphviz.AGraph(string=text)
        data = graph.draw(format=request["format"], prog=request["program"])
        results.append(base64.b64encode(data).decode("ascii"))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
