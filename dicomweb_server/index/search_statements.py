"""Searches (PS3.18 §10.6, QIDO-RS) as SQL text.

A search is one statement. Its inner part pages over the keys alone, in an order that ends in a
unique column; its outer part fetches what is returned for the rows of that page, so that a deep
offset passes over index entries and not over rows.

What restricts the institutions decides how the inner part goes: an index walked for one of them
is in the order that is asked for, one walked for ANY of several is not. So several are walked
each for itself, a page of each at most (LATERAL), unless a key is so exact that order does not
matter. Likewise each of several modalities. Walks of a few institutions are merged as they go
(UNION ALL), so that a deep offset costs what it passes over, and not that for each of them.
By a part of a name they go through the quarters of years (`search_quarters`).
"""

from dataclasses import replace

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Condition, Equal, Level, Path, Returned, SearchQuery
from dicomweb_server.index.attribute_conditions import compile_indexed
from dicomweb_server.index.conditions import (
    Arguments,
    compile_condition,
    level_at,
    name_alternatives,
    unpadded,
)
from dicomweb_server.index.name_keys import ways_by_keys
from dicomweb_server.index.search_order import NOT_IN_ORDER, Term, after, order_of, ordered, places
from dicomweb_server.index.search_quarters import by_quarters
from dicomweb_server.index.search_ways import (
    MODALITIES_IN_STUDY,
    MODALITY,
    PATIENT_NAME,
    STUDY_UID,
    asked,
    begun_name,
    is_key,
    is_of_known_studies,
    is_of_modality_alone,
    is_of_time_and_name,
    is_short,
    known_below,
    studies_named,
    walked_modalities,
    walks_each,
)

# Of a longer list of UIDs Postgres expects so many matches that it walks all studies, newest first,
# until the page is full. How many are in an array that a query makes it does not know.
_FEW_STUDIES = 100
_FARTHEST = 2**40  # rows; no archive has more, and bigint holds it
_MERGED = 16  # institutions at the most that are each walked, or looked up, for itself

_TABLES = {
    Level.STUDY: "studies s",
    Level.SERIES: "studies s JOIN series e ON e.study_id = s.id",
    Level.INSTANCE: "studies s JOIN series e ON e.study_id = s.id "
    "JOIN instances i ON i.series_id = e.id",
}
# The walk through the studies of a modality: it has the columns that the order goes by, under
# the same names; t has the others.
_BYMODALITY = "study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)"

# The rows of a page, each looked up by its key and those above it by theirs. OFFSET 0 keeps the
# planner from joining them in any other way: one that takes the tables for empty, as they were
# when they were last analysed, would go through all of one for each row of another.
_FETCHED = {
    Level.STUDY: "CROSS JOIN LATERAL (SELECT * FROM studies WHERE id = page.key OFFSET 0) s",
    Level.SERIES: "CROSS JOIN LATERAL (SELECT * FROM series WHERE id = page.key OFFSET 0) e "
    "CROSS JOIN LATERAL (SELECT * FROM studies WHERE id = e.study_id OFFSET 0) s",
    Level.INSTANCE: "CROSS JOIN LATERAL (SELECT * FROM instances WHERE id = page.key OFFSET 0) i "
    "CROSS JOIN LATERAL (SELECT * FROM series WHERE id = i.series_id OFFSET 0) e "
    "CROSS JOIN LATERAL (SELECT * FROM studies WHERE id = e.study_id OFFSET 0) s",
}
_KEY = {Level.STUDY: "s.id", Level.SERIES: "e.id", Level.INSTANCE: "i.id"}
_COUNTER = {
    (Level.STUDY, Level.SERIES): "s.number_of_series",
    (Level.STUDY, Level.INSTANCE): "s.number_of_instances",
    (Level.SERIES, Level.INSTANCE): "e.number_of_instances",
}
_RETURNED = {
    Level.STUDY: "s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances",
    Level.SERIES: "e.series_instance_uid, e.number_of_instances AS number_in_series",
    Level.INSTANCE: "i.sop_instance_uid, i.transfer_syntax_uid",
}
_DOCUMENT = {
    Level.STUDY: "s.document AS study",
    Level.SERIES: "e.document AS series",
    Level.INSTANCE: "i.document AS instance",
}
_SOP_CLASSES = """ARRAY (SELECT DISTINCT unnest(c.sop_classes) FROM series c
                          WHERE c.study_id = s.id ORDER BY 1) AS sop_classes"""

Statement = tuple[str, list[object]]


def compile_search(query: SearchQuery, scope: Scope, returned: Returned) -> Statement:
    """The statement of `query`, and its arguments. It gives up to ``query.limit + 1`` rows, of
    which the last one says that there are more.

    Conditions that SQL does not answer (``conditions.is_answered``) are not in it, but for what
    ``query.indexed`` says of them.
    """
    level, arguments = query.level, Arguments()
    terms = order_of(query)
    columns = [_RETURNED[each] for each in Level if each <= level]
    columns += [_DOCUMENT[each] for each in sorted(returned.documents)]
    columns += ["i.metadata"] * returned.metadata + [_SOP_CLASSES] * returned.sop_classes
    select = f"SELECT {', '.join([*columns, places(terms)])}"
    if is_short(query, scope):
        where = _institutions(query, scope, arguments)
        where += _where(query, scope, terms, arguments, walked=False)
        source = f"{_TABLES[level]} WHERE {' AND '.join(where) or 'TRUE'}"
        limit, offset = _limits(query, arguments)
        order = ordered(terms)
        return f"{select} FROM {source} ORDER BY {order} LIMIT {limit} OFFSET {offset}", arguments
    page = _page(query, scope, terms, arguments)
    return (
        f"{select} FROM ({page}) AS page {_FETCHED[level]} ORDER BY {ordered(terms)}",
        arguments,
    )


def _limits(query: SearchQuery, arguments: Arguments) -> tuple[str, str]:
    limit = f"{arguments.add(query.limit + 1)}::bigint"
    return limit, f"{arguments.add(min(query.offset, _FARTHEST))}::bigint"


def _page(query: SearchQuery, scope: Scope, terms: tuple[Term, ...], arguments: Arguments) -> str:
    if is_of_modality_alone(query, scope):
        return _series_of_studies(query, scope, terms, arguments)
    if 0 < len(scope.institution_ids) <= _MERGED:
        ways = ways_by_keys(query, scope)
        # Of several institutions each name begun by itself takes longer to plan than to find.
        alone = len(scope.institution_ids) == 1 and is_of_time_and_name(query)
        if begun_name(query, scope) and (ways is None or alone):
            return _named(query, scope, terms, arguments)
        if ways is not None:  # each looked up in each quarter
            where = _where(query, scope, terms, arguments, walked=False)
            page = _limits(query, arguments)
            return by_quarters(query, scope, ways, where, terms, page, arguments)
    modalities = walked_modalities(query, scope)
    where = _where(query, scope, terms, arguments, walked=modalities is not None)
    limit, offset = _limits(query, arguments)
    several = modalities is not None and len(modalities) > 1
    if modalities and not several:
        where.append(f"s.modality = {arguments.add(modalities[0])}")
    if not several and not walks_each(query, scope):
        where[:0] = _institutions(query, scope, arguments)
        source = _source(query.level, where, walked=modalities is not None)
        key, order = _KEY[query.level], ordered(terms)
        return (
            f"SELECT {key} AS key, {places(terms)} FROM {source} "  # noqa: S608
            f"ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        )
    if several or not 0 < len(scope.institution_ids) <= _MERGED:
        walks = _lateral(query, scope, terms, where, f"{limit} + {offset}", arguments)
    else:
        walks = _merged(query, scope, terms, [where], f"{limit} + {offset}", arguments)
    return _page_of(walks, terms, limit, offset, distinct=several)


def _page_of(
    walks: str, terms: tuple[Term, ...], limit: str, offset: str, *, distinct: bool
) -> str:
    """A page of several walks together; `distinct` if an entity may be in more than one."""
    names = ", ".join(f"place_{number}" for number in range(len(terms)))
    return (
        f"SELECT {'DISTINCT ' if distinct else ''}key, {names} FROM {walks} "  # noqa: S608
        f"ORDER BY {ordered(terms, by_place=True)} LIMIT {limit} OFFSET {offset}"
    )


def _named(query: SearchQuery, scope: Scope, terms: tuple[Term, ...], arguments: Arguments) -> str:
    """Studies by the beginning of a patient's name. Its groups are looked up each in its own
    index; with an OR of them the one that has all that a page needs would not be used."""
    begun = begun_name(query, scope)
    assert begun is not None
    others = {path: each for path, each in query.conditions.items() if path != PATIENT_NAME}
    modalities = others.get(MODALITIES_IN_STUDY)
    if isinstance(modalities, Equal):
        del others[MODALITIES_IN_STUDY]
    where = _where(replace(query, conditions=others), scope, terms, arguments, walked=False)
    if isinstance(modalities, Equal):  # the index of names does not have them, but one has
        wanted = arguments.add([unpadded(value) for value in modalities.values])
        where.append(
            "EXISTS (SELECT FROM study_modalities m WHERE m.study_id = s.id "
            f"AND m.modality = ANY ({wanted}::text[]))"
        )
    ways = name_alternatives("s.patient_name", *begun, arguments)
    limit, offset = _limits(query, arguments)
    found = [[way, *where] for way in ways]
    walks = _merged(query, scope, terms, found, f"{limit} + {offset}", arguments)
    return _page_of(walks, terms, limit, offset, distinct=True)


def _walk(
    query: SearchQuery, terms: tuple[Term, ...], where: list[str], most: str, *, walked: bool
) -> str:
    """What an institution has at the most of a page, in order."""
    source = _source(query.level, where, walked=walked)
    return (
        f"SELECT {_KEY[query.level]} AS key, {places(terms)} FROM {source} "  # noqa: S608
        f"ORDER BY {ordered(terms)} LIMIT {most}"
    )


def _merged(
    query: SearchQuery,
    scope: Scope,
    terms: tuple[Term, ...],
    ways: list[list[str]],
    most: str,
    arguments: Arguments,
) -> str:
    """The walks of a few institutions, in each of the `ways` to find what is wanted. They are
    merged as they go: no more is read of each than the page, and what the offset passes, have of
    it."""
    walked = walked_modalities(query, scope) is not None
    walks = []
    for institution in scope.institution_ids:
        own = f"s.institution_id = {arguments.add(institution)}"
        walks += [f"({_walk(query, terms, [own, *way], most, walked=walked)})" for way in ways]
    return f"({' UNION ALL '.join(walks)}) AS walks"


def _lateral(
    query: SearchQuery,
    scope: Scope,
    terms: tuple[Term, ...],
    where: list[str],
    most: str,
    arguments: Arguments,
) -> str:
    """A walk for each institution and modality."""
    modalities = walked_modalities(query, scope)
    walks = []
    if walks_each(query, scope):
        walks.append(f"unnest({arguments.add(list(scope.institution_ids))}::int[]) AS own (id)")
        where = ["s.institution_id = own.id", *where]
    else:
        where = [*_institutions(query, scope, arguments), *where]
    if modalities and len(modalities) > 1:
        walks.append(f"unnest({arguments.add(list(modalities))}::text[]) AS wanted (modality)")
        where = [*where, "s.modality = wanted.modality"]
    walk = _walk(query, terms, where, most, walked=modalities is not None)
    return f"{' CROSS JOIN '.join(walks)} CROSS JOIN LATERAL ({walk}) AS walk"


def _series_of_studies(
    query: SearchQuery, scope: Scope, terms: tuple[Term, ...], arguments: Arguments
) -> str:
    """Series of a modality, of no more studies than there are series wanted: each has one."""
    others = {path: each for path, each in query.conditions.items() if path != MODALITY}
    above = replace(
        query,
        level=Level.STUDY,
        conditions=others | {MODALITIES_IN_STUDY: query.conditions[MODALITY]},
        limit=query.limit + query.offset,
        offset=0,
    )
    studies = _page(above, scope, order_of(above), arguments)
    wanted = compile_condition(MODALITY, query.conditions[MODALITY], arguments)
    limit, offset = _limits(query, arguments)
    return (
        f"SELECT e.id AS key FROM ({studies}) AS s (key, sort_key, study_instance_uid, id) "  # noqa: S608
        f"JOIN series e ON e.study_id = s.id WHERE {wanted} "
        f"ORDER BY {ordered(terms)} LIMIT {limit} OFFSET {offset}"
    )


def _source(level: Level, where: list[str], *, walked: bool) -> str:
    condition = " AND ".join(where) or "TRUE"
    tables = _TABLES[level]
    if walked:
        condition = NOT_IN_ORDER.sub("t.", condition.replace("s.modality =", "\0"))
        condition = condition.replace("\0", "s.modality =")
        rest = " JOIN studies t ON t.id = s.id" if "t." in condition else ""
        tables = tables.replace("studies s", f"{_BYMODALITY}{rest}", 1)
    return f"{tables} WHERE {condition}"


def compile_count(query: SearchQuery, scope: Scope, most: int | None = None) -> Statement:
    """The statement that counts the matches of `query` on all its pages, or on those after its
    place, `most` of them."""
    arguments = Arguments()
    # Where no condition is on the level itself, the counters of the level above know.
    level = _deepest(query) if query.after is None else query.level
    modalities = walked_modalities(query, scope) if level is query.level else None
    walked = modalities is not None and len(modalities) == 1
    where = _where(query, scope, order_of(query), arguments, walked=walked)
    where[:0] = _institutions(query, scope, arguments)
    if walked and modalities is not None:
        where.append(f"s.modality = {arguments.add(modalities[0])}")
    source = _source(level, where, walked=walked)
    count = "count(*)"
    if level is not query.level:
        count = f"coalesce(sum({_COUNTER[level, query.level]}), 0)"
    elif most is not None:
        source = f"(SELECT FROM {source} LIMIT {arguments.add(most)}) AS counted"
    return f"SELECT ({count})::bigint FROM {source}", arguments  # noqa: S608


def _deepest(query: SearchQuery) -> Level:
    """The lowest level, down to the query's, that a condition or the path speaks of."""
    levels = [Level.STUDY if query.series_instance_uid is None else Level.SERIES]
    levels += [level_at(path) for path in asked(query)]
    levels += [level_at(each.path) for each in query.indexed]
    return min(max(levels), query.level)


TOTALS = {
    level: f"SELECT coalesce(sum({column}), 0)::bigint FROM institution_totals "  # noqa: S608
    "WHERE institution_id = ANY ($1::int[])"
    for level, column in zip(Level, ("studies", "series", "instances"), strict=True)
}


def _institutions(query: SearchQuery, scope: Scope, arguments: Arguments) -> list[str]:
    """Equality where it can be: an index walked for ANY of a list is not in order. Nothing where
    all are meant."""
    if scope.everything:
        return []
    match scope.institution_ids:
        case (one,):
            own = f"s.institution_id = {arguments.add(one)}"
        case several:
            own = f"s.institution_id = ANY ({arguments.add(list(several))}::int[])"
    return [f"({own}) IS TRUE" if studies_named(query) else own]  # so that no index has it


def _where(
    query: SearchQuery,
    scope: Scope,
    terms: tuple[Term, ...],
    arguments: Arguments,
    *,
    walked: bool,
) -> list[str]:
    """All that restricts the search but its institutions and, if they are `walked`, modalities."""
    parts = []
    if scope.study_instance_uids is not None:
        granted = arguments.add(list(scope.study_instance_uids))
        parts.append(f"s.study_instance_uid = ANY ({granted}::text[])")
    if query.study_instance_uid is not None:
        parts.append(f"s.study_instance_uid = {arguments.add(query.study_instance_uid)}")
    if query.series_instance_uid is not None:
        parts.append(f"e.series_instance_uid = {arguments.add(query.series_instance_uid)}")
    known = is_of_known_studies(query, scope)
    below: dict[Level, list[str]] = {}
    passed: dict[Level, list[str]] = {}
    for path, condition in _conditions(query, walked=walked, known=known).items():
        level = level_at(path)
        expression = compile_condition(path, condition, arguments)
        if path == STUDY_UID and studies_named(query) > _FEW_STUDIES:
            expression = f"s.id = ANY (ARRAY (SELECT s.id FROM studies s WHERE {expression}))"  # noqa: S608
        if expression == "TRUE":
            continue
        if level > query.level:
            below.setdefault(level, []).append(expression)
        elif known and not is_key(path, condition):
            passed.setdefault(level, []).append(expression)
        else:
            parts.append(expression)
    # What known studies are looked through for. As it stands the planner would go through the
    # statistics of a thousand names for it, which takes longer than all the rest.
    parts += [f"coalesce({' AND '.join(each)}, FALSE)" for each in passed.values()]
    for each in query.indexed:
        level = level_at(each.path)
        expression = compile_indexed(each, scope.institution_ids, arguments)
        (parts if level <= query.level else below.setdefault(level, [])).append(expression)
    if below:
        parts.append(_exists(query.level, below, known_below(query)))
    if query.after is not None:
        parts.append(after(terms, query.after, arguments))
    return parts


def _conditions(query: SearchQuery, *, walked: bool, known: bool) -> dict[Path, Condition]:
    """What is asked for: without the modalities that are `walked`, and with those of the study
    that follow from those of its series, unless the studies are `known`."""
    conditions = asked(query)
    modality = conditions.get(MODALITY)
    if walked and isinstance(conditions.get(MODALITIES_IN_STUDY), Equal):
        del conditions[MODALITIES_IN_STUDY]
    elif not walked and not known and isinstance(modality, Equal):
        return {MODALITIES_IN_STUDY: modality} | conditions
    return conditions


def _exists(level: Level, below: dict[Level, list[str]], known: Level | None) -> str:
    """That one entity beneath meets all the conditions on its level (QRY-02). Those whose UIDs
    are asked for, on the level `known`, are looked up by them, once."""
    series = " AND ".join(below.get(Level.SERIES, ()))
    instance = " AND ".join(below.get(Level.INSTANCE, ()))
    if known is Level.INSTANCE:
        if series:
            instance += f" AND EXISTS (SELECT FROM series e WHERE e.id = i.series_id AND {series})"
        key, own = ("s.id", "i.study_id") if level is Level.STUDY else ("e.id", "i.series_id")
        return f"{key} = ANY (ARRAY (SELECT {own} FROM instances i WHERE {instance}))"  # noqa: S608
    if known is Level.SERIES:
        if instance:
            series += (
                f" AND EXISTS (SELECT FROM instances i WHERE i.series_id = e.id AND {instance})"
            )
        return f"s.id = ANY (ARRAY (SELECT e.study_id FROM series e WHERE {series}))"  # noqa: S608
    tables = {
        (Level.STUDY, Level.SERIES): "series e WHERE e.study_id = s.id",
        (Level.STUDY, Level.INSTANCE): "series e JOIN instances i ON i.series_id = e.id "
        "WHERE e.study_id = s.id",
        (Level.SERIES, Level.INSTANCE): "instances i WHERE i.series_id = e.id",
    }[level, max(below)]
    return f"EXISTS (SELECT FROM {tables} AND {' AND '.join(filter(None, [series, instance]))})"
