"""Taking a person apart: which identifiers go, under which number, and what that undoes.

A person's identifiers are the nodes of a tree. Its edges are links (an identifier was linked because of another one)
and merges (each joined two trees). Without the edge of one merge the tree falls in two, and so does the person:
everything that was linked since goes with the identifier because of which it was linked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from mailwright.core.events import Person
from mailwright.profiles.identity_columns import NONE, GraphColumns
from mailwright.profiles.merge_book import NOT_UNDONE, Merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """What a split does to `person`.

    Attributes:
        number: Of the person who gets the rows `moved`: one that a merge had retired; None: a new one.
        moved: Rows that go, ascending; at least one.
        stay: Rows that stay, ascending; at least one.
        head_moved: The row that now stands for the other person's number, and `head_stay` the one for `person`.
        numbers_moved: Numbers that stand for the other person from now on, `number` among them.
        numbers_stay: Numbers that go on standing for `person`, who is among them.
        undone: Merges that this takes back.
        rerooted: (row, the row because of which it counts as linked from now on, or NONE).
    """

    person: Person
    number: Person | None
    moved: Sequence[int]
    stay: Sequence[int]
    head_moved: int
    head_stay: int
    numbers_moved: Sequence[int]
    numbers_stay: Sequence[int]
    undone: Sequence[int]
    rerooted: Sequence[tuple[int, int]] = ()

    @classmethod
    def of_merge(cls, graph: GraphColumns, person: Person, number: int) -> Self | str:
        """Take one merge back; or why that cannot be."""
        merge = graph.book.get(number)
        if merge is None:
            return f"there is no merge {number}"
        if merge.undone != NOT_UNDONE:
            return f"merge {number} was taken back already"
        if graph.owner(merge.one) != person or graph.owner(merge.other) != person:
            return f"merge {number} is of another person"
        tree = Tree(graph, person)
        moved = tree.moved(merge)
        stay = sorted(tree.rows.difference(moved))
        gone, within = tree.number_of(moved), set(moved)
        numbers = {gone, *(number for row, number in tree.heads.items() if row in within)}
        return cls(
            person=person,
            number=Person(gone),
            moved=moved,
            stay=stay,
            head_moved=graph.head(Person(gone)),
            head_stay=graph.head(person),
            numbers_moved=sorted(numbers),
            numbers_stay=[each for each in graph.numbers(person) if each not in numbers],
            undone=[number],
        )

    @classmethod
    def of_identifiers(cls, graph: GraphColumns, person: Person, identifiers: Iterable[str]) -> Self | str:
        """Take single identifiers out, for a new person; or why that cannot be."""
        wanted: set[int] = set()
        for identifier in identifiers:
            row = graph.row(identifier)
            if row is None or graph.owner(row) != person:
                return f"{identifier} is no identifier of #{person}"
            wanted.add(row)
        tree = Tree(graph, person)
        if not wanted:
            return "no identifier is named"
        if wanted == tree.rows:
            return f"#{person} would have no identifier left"
        moved, stay = sorted(wanted), sorted(tree.rows - wanted)
        undone = {merge.number for merge in tree.merges if merge.one in wanted or merge.other in wanted}
        rerooted = {moved[0]: NONE} | dict.fromkeys(moved[1:], moved[0])
        head = tree.mended(stay, rerooted, undone)
        return cls(
            person=person,
            number=None,
            moved=moved,
            stay=stay,
            head_moved=moved[0],
            head_stay=head,
            numbers_moved=(),
            numbers_stay=graph.numbers(person),
            undone=sorted(undone),
            rerooted=sorted(rerooted.items()),
        )


class Tree:
    """The identifiers of one person and what joins them."""

    def __init__(self, graph: GraphColumns, person: Person) -> None:
        self._graph = graph
        self._person = person
        self.rows = set(graph.rows_of(person))
        self.heads = {graph.head(number): int(number) for number in graph.numbers(person)}
        """Row -> the number that it stands for."""
        self.heads[graph.head(person)] = int(person)
        self.merges: list[Merged] = [
            merge
            for merge in graph.book.within(self.rows)
            if merge.undone == NOT_UNDONE and merge.one in self.rows and merge.other in self.rows
        ]
        self._beside: dict[int, list[tuple[int, int | None]]] = {row: [] for row in self.rows}
        for row in self.rows:
            via = graph.via(row)
            if via is not None:
                self._join(row, via, None)
        for merge in self.merges:
            self._join(merge.one, merge.other, merge.number)

    def _join(self, row: int, other: int, merge: int | None) -> None:
        self._beside[row].append((other, merge))
        self._beside[other].append((row, merge))

    def reached(self, row: int, *, without: int) -> set[int]:
        """Rows that hang together with `row` but over the merge `without`."""
        found, left = {row}, [row]
        while left:
            for other, merge in self._beside[left.pop()]:
                if other not in found and merge != without:
                    found.add(other)
                    left.append(other)
        return found

    def moved(self, merge: Merged) -> list[int]:
        """The rows, ascending, that taking back one of `merges` gives to the other person."""
        side = self.reached(merge.one, without=merge.number)
        return sorted(self.rows - side if self._graph.head(self._person) in side else side)

    def number_of(self, rows: Sequence[int]) -> int:
        """The number that a part of the tree has: who survived the merges within it, in their order."""
        within = set(rows)
        whose = {row: row for row in rows}  # row -> a row that stands for its group
        number: dict[int, int] = {}
        for row in rows:
            if self._graph.via(row) is None:
                number[row] = self.heads[row]
        for row in rows:
            whose[row] = self.root(row)
        last = number[whose[rows[0]]]
        for merge in self.merges:
            if merge.one not in within or merge.other not in within:
                continue
            one, other = whose[merge.one], whose[merge.other]
            stays, goes = (one, other) if self._survives(number, whose, one, other, merge) else (other, one)
            for row, root in whose.items():
                if root == goes:
                    whose[row] = stays
            last = number[stays]
        return last

    def root(self, row: int) -> int:
        """The row with which it began that this one is there."""
        via = self._graph.via(row)
        while via is not None:
            row, via = via, self._graph.via(via)
        return row

    def _survives(self, number: dict[int, int], whose: dict[int, int], one: int, other: int, merge: Merged) -> bool:
        """Whether the group of row `one` stays: the one with the number that survived then, else the lower number."""
        for head, wins in ((self._graph.head(merge.into), True), (self._graph.head(merge.gone), False)):
            if head in whose and whose[head] in (one, other):
                return (whose[head] == one) is wins
        return number[one] < number[other]

    def mended(self, stay: Sequence[int], changes: dict[int, int], undone: set[int]) -> int:
        """Tie what stays together again once single rows are gone; the row that stands for the person.

        Args:
            stay: The rows, ascending.
            changes: Gets, by row, the one because of which it counts as linked, see `Parting.rerooted`.
            undone: Merges that the loss of rows undoes; gets those that become links.
        """
        inside = set(stay)
        orphans = [row for row in stay if (via := self._graph.via(row)) is not None and via not in inside]

        def root(row: int) -> int:
            while (via := changes.get(row, NONE if row in orphans else self._via(row))) != NONE:
                row = via
            return row

        for top in orphans:  # what a merge joined to something with a number of its own hangs on that from now on
            for merge in self.merges:
                here, there = (merge.one, merge.other) if root(merge.one) == top else (merge.other, merge.one)
                if merge.number not in undone and root(here) == top and root(there) != top:
                    changes[top] = there
                    undone.add(merge.number)
                    break
        pieces = self._pieces(stay, root, undone)
        head = self._graph.head(self._person)
        if head not in inside:
            head = root(stay[0])
            if self._via(head) != NONE:
                changes[head] = NONE
        for tops in pieces:
            if root(head) not in tops:
                changes[min(tops)] = head
        return head

    def _via(self, row: int) -> int:
        via = self._graph.via(row)
        return NONE if via is None else via

    def _pieces(self, rows: Sequence[int], root: Callable[[int], int], undone: set[int]) -> list[set[int]]:
        """The roots of everything that merges still hold together."""
        pieces = [{top} for top in dict.fromkeys(map(root, rows))]
        for merge in self.merges:
            if merge.number not in undone:
                ends = {root(merge.one), root(merge.other)}
                joined = [piece for piece in pieces if piece & ends]
                pieces = [piece for piece in pieces if not piece & ends] + [set[int]().union(*joined)]
        return pieces
