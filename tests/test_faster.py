"""The build takes its short ways (docs/_ext/faster.py), and what comes out is what Sphinx and docutils give."""

from __future__ import annotations

import multiprocessing
import random

import faster
import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx.util.nodes import NodeMatcher

KINDS = [nodes.paragraph, nodes.section, nodes.strong, nodes.literal, nodes.target, nodes.Text]


@pytest.fixture
def short_ways(monkeypatch) -> None:
    monkeypatch.setattr(nodes.Element, "setup_child", faster.setup_child)


def tree(rng: random.Random) -> nodes.document:
    document = new_document("page")
    places: list[nodes.Element] = [document]
    for number in range(60):
        node = rng.choice(KINDS[:4])(ids=[f"n{number}"])
        rng.choice(places).append(node)
        node.append(nodes.Text(str(number)))
        places.append(node)
    return document


@pytest.mark.parametrize("seed", range(5))
def test_finds_what_docutils_finds(seed: int, short_ways) -> None:
    document = tree(random.Random(seed))
    wanted = [*KINDS, nodes.Element, NodeMatcher(nodes.target), NodeMatcher(nodes.strong, ids=["n7"]), lambda node: "n9" in node.get("ids", []) if isinstance(node, nodes.Element) else False]
    for condition in wanted:
        assert list(faster.findall(document, condition)) == list(faster._findall(document, condition))


def test_finds_a_kind_that_came_later(short_ways) -> None:
    class Later(nodes.inline):
        pass

    class Deep(nodes.inline):
        pass

    document = tree(random.Random(0))
    assert list(faster.findall(document, Later)) == list(faster.findall(document, Deep)) == []
    document[0].append(Later("", "", Deep()))
    assert len(list(faster.findall(document, Later))) == len(list(faster.findall(document, Deep))) == len(list(faster.findall(document, NodeMatcher(Deep)))) == 1


def take(share: faster.Share, taken) -> None:
    for name in share:
        taken.put((share.number, name))


@pytest.mark.parametrize(("pages", "processes"), [(1, 2), (2, 2), (40, 3)])
def test_each_page_is_done_once_and_its_process_known(pages: int, processes: int) -> None:
    names = [f"page-{number:02}" for number in range(pages)]
    context = multiprocessing.get_context("fork")
    found = faster.shares(names, processes, lambda name: int(name[-2:]))
    assert len(found) == min(pages, processes)
    taken = context.Queue()
    workers = [context.Process(target=take, args=(share, taken)) for share in found]
    for worker in workers:
        worker.start()
    done = [taken.get(timeout=30) for _ in names]
    for worker in workers:
        worker.join(30)
    assert sorted(name for _, name in done) == names
    assert sorted((share.number, name) for share in found for name in share) == sorted(done)
    assert [list(share.names) for share in found] == [names[::-1]] * len(found)  # the heaviest first
