"""What docutils and Sphinx do here in less time, with the same result.

A build goes through the tree of each page a hundred times, most often to find nothing: `findall` without a generator for each
level of the tree, `walkabout` without a message about each node that nobody sees. And the processes get equal parts of the
work, be it to read pages or to write them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path

from docutils import nodes
from pygments.formatter import Formatter
from sphinx import builders
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.highlighting import PygmentsBridge
from sphinx.util.parallel import ParallelTasks

_findall = nodes.Node.findall
_formatters: dict[str, Formatter] = {}


def below(node: nodes.Node, matches: Callable[[nodes.Node], bool]) -> Iterator[nodes.Node]:
    """The nodes of a tree for which ``matches`` is true, in order; changes to what comes later are seen, as in docutils."""
    if matches(node):
        yield node
    levels = [iter(node.children)]
    while levels:
        for child in levels[-1]:
            if matches(child):
                yield child
            if child.children:
                levels.append(iter(child.children))
                break
        else:
            levels.pop()


def below_of(node: nodes.Node, kind: type) -> Iterator[nodes.Node]:
    """The same for the nodes of one kind: a call for each node would take twice the time."""
    if isinstance(node, kind):
        yield node
    levels = [iter(node.children)]
    while levels:
        for child in levels[-1]:
            if isinstance(child, kind):
                yield child
            if child.children:
                levels.append(iter(child.children))
                break
        else:
            levels.pop()


def findall(self, condition=None, include_self=True, descend=True, siblings=False, ascend=False) -> Iterator[nodes.Node]:
    if not (include_self and descend) or siblings or ascend:
        return _findall(self, condition, include_self, descend, siblings, ascend)
    condition = nodes.Node if condition is None else condition
    return below_of(self, condition) if isinstance(condition, type) else below(self, condition)


def walkabout(self: nodes.Node, visitor: nodes.NodeVisitor) -> bool:
    """As in docutils, whether to stop."""
    depart, stop = True, False
    try:
        try:
            visitor.dispatch_visit(self)
        except nodes.SkipNode:
            return False
        except nodes.SkipDeparture:
            depart = False
        try:
            for child in self.children[:]:
                if child.walkabout(visitor):
                    stop = True
                    break
        except nodes.SkipSiblings:
            pass
    except nodes.SkipChildren:
        pass
    except nodes.StopTraversal:
        stop = True
    if depart:
        visitor.dispatch_departure(self)
    return stop


def formatter(self: PygmentsBridge, **wanted: object) -> Formatter:
    """One for all blocks that are shown alike: each computes a stylesheet for itself."""
    key = repr((self.formatter, self.formatter_args, wanted))
    if key not in _formatters:
        _formatters[key] = self.formatter(**wanted | self.formatter_args)
    return _formatters[key]


def source(env, name: str) -> int:
    """Bytes that a page is made of: its own, and what lies in its folder and is no page."""
    page = Path(env.doc2path(name))
    return sum(path.stat().st_size for path in (page, *page.with_suffix("").rglob("*.md")) if path == page or env.path2doc(path) not in env.found_docs)


def parts(env, names: list[str], count: int) -> list[list[str]]:
    """Pages in parts that take about the same time to read, and to write."""
    found: list[tuple[int, list[str]]] = [(0, []) for _ in range(count)]
    for weight, name in sorted(((source(env, name), name) for name in names), reverse=True):
        lightest = min(range(count), key=lambda number: found[number][0])
        found[lightest] = (found[lightest][0] + weight, [*found[lightest][1], name])
    return [names for _, names in found if names]


def write_documents(self, docnames: Set[str]) -> None:
    """Each process resolves the links of the pages that it writes: Sphinx leaves that to the first process alone."""
    if not self.parallel_ok or len(docnames) < 3:
        return self._write_serial(sorted(docnames))

    def write(names: list[str]) -> dict:
        for name in names:  # `_write_serial` would tell each warning of another process twice
            builders._write_docname(name, env=self.env, builder=self, tags=self.tags)
        return self.images

    first = min(docnames, key=lambda name: source(self.env, name))  # with it come templates and more, so that not each process compiles them
    self._write_serial([first])
    tasks = ParallelTasks(self._app.parallel)
    for names in parts(self.env, sorted(docnames - {first}), self._app.parallel):
        tasks.add_task(write, names, lambda _, images: self.images.update(images))
    tasks.join()


def setup(app) -> dict:
    nodes.Node.findall, nodes.Node.walkabout = findall, walkabout
    PygmentsBridge.get_formatter = formatter
    builders.make_chunks = lambda names, count: parts(app.env, names, count)
    StandaloneHTMLBuilder.write_documents = write_documents
    return {"parallel_read_safe": True, "parallel_write_safe": True}
