"""What docutils and Sphinx do here in less time, with the same result.

A build goes through the tree of each page a hundred times: `findall` without a generator for each level of the tree, and not at
all for a kind of node that no tree has had; `walkabout` without a message about each node that nobody sees. And the processes
share the work, be it to read pages or to write them, page by page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Set
from multiprocessing import Array
from pathlib import Path
from weakref import WeakSet

from docutils import nodes
from pygments.formatter import Formatter
from sphinx import builders
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.highlighting import PygmentsBridge
from sphinx.util.parallel import ParallelTasks

_findall = nodes.Node.findall
_setup_child = nodes.Element.setup_child
_known: WeakSet[nodes.document] = WeakSet()  # documents whose kinds of nodes are among these
_kinds: set[type] = {nodes.document, nodes.Text}
_absent: dict[tuple[tuple[type, ...], int], bool] = {}
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


def setup_child(self: nodes.Element, child: nodes.Node) -> None:
    _kinds.add(child.__class__)
    _setup_child(self, child)


def absent(document: nodes.document, kinds: tuple[type, ...]) -> bool:
    """Whether no document of this process has ever had a node of these kinds."""
    if document not in _known:  # its nodes may come from a file
        _kinds.update(node.__class__ for node in below_of(document, nodes.Node))
        _known.add(document)
    asked = kinds, len(_kinds)
    if asked not in _absent:
        _absent[asked] = not any(issubclass(kind, kinds) for kind in _kinds)
    return _absent[asked]


def findall(self, condition=None, include_self=True, descend=True, siblings=False, ascend=False) -> Iterator[nodes.Node]:
    if not (include_self and descend) or siblings or ascend:
        return _findall(self, condition, include_self, descend, siblings, ascend)
    condition = nodes.Node if condition is None else condition
    kinds = (condition,) if isinstance(condition, type) else getattr(condition, "classes", ())
    if kinds and isinstance(self, nodes.document) and absent(self, kinds):
        return iter(())
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


class Share:
    """What one process does of the pages: it takes the next whenever it is done with one. The process that shares them out sees what it took."""

    def __init__(self, names: list[str], taken: Array, number: int) -> None:
        self.names, self.taken, self.number, self.giver = names, taken, number, os.getpid()

    def __iter__(self) -> Iterator[str]:
        if os.getpid() == self.giver:
            yield from (name for name, by in zip(self.names, self.taken) if by == self.number)
            return
        while True:
            with self.taken.get_lock():
                place = next((place for place, by in enumerate(self.taken) if not by), None)
                if place is None:
                    return
                self.taken[place] = self.number
            yield self.names[place]


def shares(names: Iterable[str], count: int, weight: Callable[[str], int]) -> list[Share]:
    """One for each process; the heaviest pages first, so that all end at about the same time."""
    names = sorted(names, key=lambda name: (-weight(name), name))
    taken = Array("i", len(names))
    return [Share(names, taken, number + 1) for number in range(min(count, len(names)))]


def write_documents(self, docnames: Set[str]) -> None:
    """Each process resolves the links of the pages that it writes: Sphinx leaves that to the first process alone."""
    if not self.parallel_ok or len(docnames) < 3:
        return self._write_serial(sorted(docnames))

    def write(names: Iterable[str]) -> dict:
        for name in names:  # `_write_serial` would tell each warning of another process twice
            builders._write_docname(name, env=self.env, builder=self, tags=self.tags)
        return self.images

    def weight(name: str) -> int:
        return Path(self.env.doctreedir, f"{name}.doctree").stat().st_size

    first = min(docnames, key=lambda name: (weight(name), name))  # with it come templates and more, so that not each process compiles them
    self._write_serial([first])
    tasks = ParallelTasks(self._app.parallel)
    for names in shares(docnames - {first}, self._app.parallel, weight):
        tasks.add_task(write, names, lambda _, images: self.images.update(images))
    tasks.join()


def setup(app) -> dict:
    nodes.Node.findall, nodes.Node.walkabout, nodes.Element.setup_child = findall, walkabout, setup_child
    PygmentsBridge.get_formatter = formatter
    builders.make_chunks = lambda names, count: shares(names, count, lambda name: source(app.env, name))
    StandaloneHTMLBuilder.write_documents = write_documents
    return {"parallel_read_safe": True, "parallel_write_safe": True}
