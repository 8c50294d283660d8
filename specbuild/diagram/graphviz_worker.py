"""Runs in a process of its own, so that a layout that takes too long can be ended: requests in, results out.

Imports nothing of specbuild: it is started as a file.
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
        drawn = graph.draw(format=request["format"], prog=request["program"])
        results.append(base64.b64encode(drawn).decode("ascii"))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
