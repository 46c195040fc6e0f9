"""Questions to the tables of one release: the only place where names are put into statements.

A statement says {release} where the release's namespace belongs, {where} for a condition, and has
other names in braces for types and columns: all of it is this package's own. Whatever a caller sent
is a value, %s or %(name)s.
"""

from collections.abc import Mapping, Sequence
from typing import Self

from ..filters import Selection
from .conditions import EVERY_ROW, Condition, condition, is_text, terms_in
from .connection import Database, Question, Row
from .schema import namespace


class Tables:
    """The tables of a release.

    Args:
        database: where they are.
        release_id: names their namespace.
    """

    def __init__(self, database: Database, release_id: str) -> None:
        self.database = database
        self.release_id = release_id
        self._namespace = namespace(release_id)

    def until(self, deadline: float) -> Self:
        """Return the same tables, whose database gives up at a time of `time.monotonic`."""
        return type(self)(self.database.until(deadline), self.release_id)

    def question(
        self,
        text: str,
        values: Sequence[object] | Mapping[str, object] = (),
        where: Condition = EVERY_ROW,
        **parts: str,
    ) -> Question:
        """Return a question.

        Args:
            text: the statement.
            values: named ones if there is a condition, which has its own.
            where: for {where}.
            parts: for other names in braces.
        """
        both = {**where.values, **values} if isinstance(values, Mapping) else values
        return Question(text.format(release=self._namespace, where=where.text, **parts), both)

    def ask(
        self,
        text: str,
        values: Sequence[object] | Mapping[str, object] = (),
        where: Condition = EVERY_ROW,
        **parts: str,
    ) -> list[Row]:
        """Return the rows that answer `question`; raises as `Database.ask_all`."""
        return self.database.ask_all([self.question(text, values, where, **parts)])[0]

    def compiled(self, selection: Selection, excluded: str) -> Condition:
        """Look up what a selection names, and compile it.

        Args:
            selection: what may be found.
            excluded: the column with a product's number, as `condition` has it.
        """
        terms = [term for term in terms_in(selection) if all(map(is_text, term))]
        names = [name for name in selection.excluded if is_text(name)]
        found, gone = self.database.ask_all(
            [
                self.question(
                    "SELECT kind, key, value, number FROM {release}.term "
                    "JOIN unnest(%s::text[], %s::text[], %s::text[]) AS named (kind, key, value) "
                    "USING (kind, key, value)",
                    [[term[part] for term in terms] for part in range(3)],
                ),
                self.question(
                    "SELECT number FROM {release}.product WHERE id = ANY(%s::text[])", [names]
                ),
            ]
        )
        numbers = {(kind, key, value): number for kind, key, value, number in found}
        return condition(selection, numbers, excluded, sorted(number for (number,) in gone))
