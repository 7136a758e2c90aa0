"""Who waits for each other in a circle: a graph of who waits for whom, and nothing of what for."""

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def circle_of(waits: Mapping[Node, Collection[Node]], stuck: Iterable[Node]) -> set[Node]:
    """Those that wait until one of them gives way, and would all come to their end if one did.

    Whoever waits for a stuck one, directly or by way of others, is not among them. With one wait each, which is how it
    is where every sensor has one holder, these are exactly the circles; else a way from one circle to the next belongs
    to it.

    Args:
        waits: For each that waits: all those that it waits for. Whoever waits for nobody need not be in it.
        stuck: Those that do not go on by themselves, waiting or not.
    """
    awaited_by = _reversed(waits)
    hopeless = _reached(stuck, awaited_by)
    return _peeled(_peeled(set(waits) - hopeless, waits, awaited_by), awaited_by, waits)


def _reversed(edges: Mapping[Node, Collection[Node]]) -> dict[Node, list[Node]]:
    backwards: dict[Node, list[Node]] = {}
    for start, ends in edges.items():
        for end in ends:
            backwards.setdefault(end, []).append(start)
    return backwards


def _reached(starts: Iterable[Node], edges: Mapping[Node, Collection[Node]]) -> set[Node]:
    reached = set(starts)
    front = list(reached)
    while front:
        new = {end for end in edges.get(front.pop(), ()) if end not in reached}
        reached |= new
        front.extend(new)
    return reached


def _peeled(
    nodes: set[Node], edges: Mapping[Node, Collection[Node]], backwards: Mapping[Node, Collection[Node]]
) -> set[Node]:
    """Without those from which no edge leads to another one that is left."""
    left = set(nodes)
    count = {node: sum(end in nodes for end in edges.get(node, ())) for node in nodes}
    loose = [node for node, edges_left in count.items() if not edges_left]
    while loose:
        end = loose.pop()
        left.remove(end)
        for start in backwards.get(end, ()):
            if start in left:
                count[start] -= 1
                if not count[start]:
                    loose.append(start)
    return left
