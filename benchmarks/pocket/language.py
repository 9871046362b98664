"""Text of the pocket language: the pretraining corpus and four small tasks in the formats of GLUE.

`documents` gives pairs of sentences for masked words and next-sentence prediction, `examples` the labelled pairs of
the tasks. Both are pure functions of their arguments: the same text on every machine, in every process.
The language is synthetic. Its tasks take format, labels and metric from CoLA, RTE, MRPC and STS-B, and nothing else.
"""

from collections.abc import Callable
from functools import cache

from benchmarks.pocket.grammar import (
    Draws,
    Event,
    Rates,
    definition,
    draw_adjective,
    draw_event,
    fits,
    nouns_in,
    restate,
    text,
    write,
)
from benchmarks.pocket.lexicon import ADJECTIVE_LIST, ANIMATE, CATEGORIES, NOUN_LIST, PLACE_LIST, VERB_LIST, vocabulary
from fisher.common.errors import InputError

__all__ = ["PARTS", "TASKS", "documents", "examples", "vocabulary"]

TASKS = ("cola", "rte", "mrpc", "stsb")
PARTS = {"train": (0, 2000), "dev": (2000, 2400), "test": (2400, 2800)}

Document = tuple[str, str, bool]
Labelled = tuple[tuple[str, ...], int | float]

# kinds of documents and their shares; only "unrelated" is a negative of next-sentence prediction
RESTATED, CONTINUED, DEFINED = 0.40, 0.12, 0.10  # the rest, 0.38, is unrelated
CORPUS_RATES = Rates(synonym=0.6, voice=0.5, general=0.15, drop=0.2)
RTE_RATES = Rates(synonym=0.6, voice=0.5, general=0.15, drop=0.2)
MRPC_RATES = Rates(synonym=0.8, voice=0.5, drop=0.2)
STSB_RATES = Rates(synonym=0.5, voice=0.3)

# what a change costs on the 0..5 scale of STS-B
STSB_COSTS = {
    "subject hypernym": 0.5,
    "object hypernym": 0.5,
    "subject": 1.0,
    "object": 1.0,
    "subject category": 1.7,
    "object category": 1.7,
    "verb": 1.5,
    "negation": 1.0,
    "antonym": 0.7,
    "place": 0.4,
}
CHANGES = ("subject", "object", "verb", "negation", "antonym", "roles")


def documents(seed: int, n: int) -> list[Document]:
    """First n documents (sentence 1, sentence 2, related) of the corpus with this seed.

    40 % restate sentence 1, 12 % say something else about its subject, 10 % define one of its nouns and 38 % are
    unrelated: they share no noun with it (30 % of these repeat its verb, 15 % are definitions).
    """
    draws = Draws("pocket", "corpus", seed)
    return [_document(draws) for _ in range(n)]


def examples(task: str, part: str) -> list[Labelled]:
    """Examples (texts, label) of one part of a task: 2,000 train, 400 dev, 400 test; no texts occur twice.

    Labels follow GLUE: cola 1 = acceptable; rte 0 = entailment, 1 = not; mrpc 1 = equivalent; stsb 0..5.
    Raises InputError for an unknown task or part.
    """
    if task not in TASKS:
        raise InputError(f"unknown pocket task {task!r}; the tasks are {', '.join(TASKS)}")
    if part not in PARTS:
        raise InputError(f"unknown part {part!r} of pocket task {task!r}; the parts are {', '.join(PARTS)}")
    start, stop = PARTS[part]
    return list(_all_examples(task)[start:stop])


@cache
def _all_examples(task: str) -> tuple[Labelled, ...]:
    draws, make = Draws("pocket", "task", task), _MAKERS[task]
    unique: dict[tuple[str, ...], int | float] = {}
    while len(unique) < PARTS["test"][1]:
        texts, label = make(draws)
        if texts[0] not in texts[1:]:  # a sentence is never paired with itself
            unique.setdefault(texts, label)
    return tuple(unique.items())


def _document(draws: Draws) -> Document:
    event, kind = draw_event(draws), draws.uniform()
    if kind < RESTATED:
        second = text(restate(event, draws, CORPUS_RATES))
    elif kind < RESTATED + CONTINUED:
        second = text(restate(draw_event(draws, subject=event.subject.noun), draws, CORPUS_RATES))
    elif kind < RESTATED + CONTINUED + DEFINED:
        second = definition(draws.choice(event.nouns), draws)
    else:
        second = _unrelated(event, draws)
    return text(event), second, kind < RESTATED + CONTINUED + DEFINED


def _unrelated(event: Event, draws: Draws) -> str:
    kind = draws.uniform()
    verb = event.verb if kind < 0.30 else None
    while True:
        other = draw_event(draws, verb=verb)
        if not set(other.nouns) & set(event.nouns):
            break
    if kind >= 0.85:
        return definition(draws.choice(other.nouns), draws)
    return text(restate(other, draws, CORPUS_RATES))


def change(event: Event, kind: str, draws: Draws) -> Event | None:
    """The event with one thing about it made different, or None where it has no such thing.

    "subject"/"object": another noun of the same category; "... category": a noun of another one; "... hypernym": a more
    general word; "verb"; "negation"; "antonym" of one adjective; "place"; "roles": subject and object exchanged,
    where the verb takes them both ways.
    """
    role, _, how = kind.partition(" ")
    if role in ("subject", "object"):
        return _change_noun(event, role, how, draws)
    if kind == "verb":
        return event._replace(verb=_other_verb(event, draws))
    if kind == "negation":
        return event._replace(negated=not event.negated)
    if kind == "antonym":
        return _change_adjective(event, draws)
    if kind == "place":
        return None if event.place is None else event._replace(place=draws.other(len(PLACE_LIST), event.place))
    swapped = event._replace(subject=event.object, object=event.subject)
    return swapped if fits(swapped) and event.subject.noun != event.object.noun else None


def _change_noun(event: Event, role: str, how: str, draws: Draws) -> Event:
    phrase = event.phrase(role)
    category = NOUN_LIST[phrase.noun].category
    if how == "hypernym":
        return event.with_phrase(role, phrase._replace(general=True))
    if how == "category":
        category = draws.other(ANIMATE if role == "subject" else len(CATEGORIES), category)
    noun = draws.choice([noun for noun in nouns_in((category,)) if noun != phrase.noun])
    return event.with_phrase(role, phrase._replace(noun=noun))


def _change_adjective(event: Event, draws: Draws) -> Event | None:
    present = [
        (role, adjective) for role in ("subject", "object") if (adjective := event.phrase(role).adjective) is not None
    ]
    if not present:
        return None
    role, adjective = draws.choice(present)
    return event.with_phrase(role, event.phrase(role)._replace(adjective=adjective ^ 1))


def _other_verb(event: Event, draws: Draws) -> int:
    others = [index for index in range(len(VERB_LIST)) if index != event.verb]
    possible = [index for index in others if fits(event._replace(verb=index))]
    return draws.choice(possible or others)


def _changed(event: Event, kinds: tuple[str, ...], draws: Draws) -> Event:
    """The event after one change of a random kind that applies."""
    while True:
        changed = change(event, draws.choice(kinds), draws)
        if changed is not None:
            return changed


def _cola(draws: Draws) -> Labelled:
    event = draw_event(draws)
    if draws.chance(0.68):
        return (text(event),), 1
    return (" ".join(_spoiled(event, draws.below(5), draws)),), 0


def _spoiled(event: Event, kind: int, draws: Draws) -> list[str]:
    """Words of an unacceptable sentence: agreement, determiner, word order, argument or adjective is wrong."""
    role = draws.choice(("subject", "object"))
    if kind == 0:
        return write(event, wrong="verb")
    if kind == 1:
        return write(event, wrong=role)
    if kind == 2:
        words = write(event)
        at = draws.below(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
        return words
    return write(_wrong_argument(event, role, draws) if kind == 3 else _wrong_adjective(event, role, draws))


def _wrong_argument(event: Event, role: str, draws: Draws) -> Event:
    verb, phrase = VERB_LIST[event.verb], event.phrase(role)
    allowed = verb.subjects if role == "subject" else verb.objects
    category = draws.choice([index for index in range(len(CATEGORIES)) if index not in allowed])
    moved = phrase._replace(noun=draws.choice(nouns_in((category,))))
    return event.with_phrase(role, moved if moved.adjective is None else draw_adjective(moved, draws))


def _wrong_adjective(event: Event, role: str, draws: Draws) -> Event:
    phrase = event.phrase(role)
    category = NOUN_LIST[phrase.noun].category
    misfits = [index for index, adjective in enumerate(ADJECTIVE_LIST) if category not in adjective.categories]
    return event.with_phrase(role, phrase._replace(adjective=draws.choice(misfits), adjective_word=draws.below(2)))


def _rte(draws: Draws) -> Labelled:
    premise, entailed = draw_event(draws), draws.chance(0.5)
    if entailed:
        return (text(premise), text(restate(premise, draws, RTE_RATES))), 0
    changed = _changed(premise, CHANGES, draws)
    return (text(premise), text(restate(changed, draws, RTE_RATES, keep=_roles_changed(premise, changed)))), 1


def _mrpc(draws: Draws) -> Labelled:
    first, equivalent = draw_event(draws), draws.chance(0.68)
    if equivalent:
        return (text(first), text(restate(first, draws, MRPC_RATES))), 1
    second = _changed(first, CHANGES, draws)
    if draws.chance(0.5):
        twice = _changed(second, CHANGES, draws)
        second = second if twice == first else twice
    return (text(first), text(restate(second, draws, MRPC_RATES, keep=_roles_changed(first, second)))), 0


def _roles_changed(first: Event, second: Event) -> tuple[str, ...]:
    """Roles in which a difference lies: rewording them more than by synonyms could hide it."""
    return tuple(role for role in ("subject", "object") if first.phrase(role) != second.phrase(role))


def _stsb(draws: Draws) -> Labelled:
    first = draw_event(draws)
    second, cost = first, 0.0
    for _ in range(draws.below(6)):
        kind = draws.choice(tuple(STSB_COSTS))
        changed = change(second, kind, draws)
        if changed is not None and _touches_new(first, second, changed):
            second, cost = changed, cost + STSB_COSTS[kind]
    score = min(5.0, max(0.0, 5.0 - cost + 0.2 * draws.normal()))
    return (text(first), text(restate(second, draws, STSB_RATES))), round(score, 3)


def _touches_new(first: Event, second: Event, changed: Event) -> bool:
    """Whether the step from `second` to `changed` is about something still equal to `first`."""
    return all(second[field] == first[field] for field in range(len(first)) if changed[field] != second[field])


_MAKERS: dict[str, Callable[[Draws], Labelled]] = {"cola": _cola, "rte": _rte, "mrpc": _mrpc, "stsb": _stsb}
