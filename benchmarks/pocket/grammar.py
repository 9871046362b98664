"""The pocket language as a probabilistic grammar: draw an event, change or restate it, write it down.

An event says who does what to whom. Which arguments and adjectives occur, and how often, follows the lexicon's
tables and frequencies drawn once from a fixed seed, so this knowledge can only be learned from text.
Determiners carry number and nothing else.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple, TypeVar

from benchmarks.pocket.lexicon import (
    ADJECTIVE_LIST,
    ADVERB_LIST,
    CATEGORIES,
    DETERMINERS,
    HYPERNYMS,
    NOUN_LIST,
    PLACE_LIST,
    VERB_LIST,
)
from fisher.seeds import seed_of

T = TypeVar("T")

# share of events with each part
ADJECTIVE_RATE, ADVERB_RATE, PLACE_RATE, NEGATION_RATE, PASSIVE_RATE, PLURAL_RATE = 0.35, 0.25, 0.35, 0.2, 0.3, 0.4


class Draws:
    """Random choices from the text of a seed, equal on every machine and Python version.

    Only `random.Random.random` is used: its sequence is guaranteed, that of `choice` or `gauss` is not.
    """

    def __init__(self, *parts: object):
        self.uniform = random.Random(seed_of(*parts)).random

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self.uniform() < p

    def below(self, n: int) -> int:
        """Uniform integer in [0, n)."""
        return int(self.uniform() * n)

    def choice(self, items: Sequence[T]) -> T:
        """Uniform element."""
        return items[self.below(len(items))]

    def other(self, n: int, excluded: int) -> int:
        """Uniform integer in [0, n) that is not `excluded`."""
        drawn = self.below(n - 1)
        return drawn + (drawn >= excluded)

    def normal(self) -> float:
        """Standard normal to good approximation: 12 uniforms less their mean (sums are exact in order)."""
        total = -6.0
        for _ in range(12):
            total += self.uniform()
        return total


class Peaked(NamedTuple):
    """Concepts with unequal frequencies: a few are common, all occur."""

    concepts: tuple[int, ...]
    cumulative: tuple[float, ...]

    @classmethod
    def make(cls, concepts: Sequence[int], draws: Draws) -> "Peaked":
        """Frequencies 0.02 + u^4 with u uniform: the commonest of 12 has a share of about 0.3."""
        squares = [u * u for u in (draws.uniform() for _ in concepts)]
        return cls(tuple(concepts), tuple(accumulate(0.02 + square * square for square in squares)))

    def draw(self, draws: Draws) -> int:
        """One concept by its frequency."""
        return self.concepts[bisect(self.cumulative, draws.uniform() * self.cumulative[-1])]


class Usage(NamedTuple):
    """Frequencies of arguments per verb, of adjectives per noun, and the verbs open to each category of subject."""

    subjects: tuple[Peaked, ...]
    objects: tuple[Peaked, ...]
    adjectives: tuple[Peaked, ...]
    verbs_of: tuple[tuple[int, ...], ...]


def nouns_in(categories: Sequence[int]) -> list[int]:
    """Noun concepts of the given categories."""
    return [index for index, noun in enumerate(NOUN_LIST) if noun.category in categories]


@cache
def usage() -> Usage:
    """The language's frequencies, the same in every process."""
    draws = Draws("pocket", "frequencies")
    fitting = [
        [index for index, adjective in enumerate(ADJECTIVE_LIST) if category in adjective.categories]
        for category in range(len(CATEGORIES))
    ]
    return Usage(
        subjects=tuple(Peaked.make(nouns_in(verb.subjects), draws) for verb in VERB_LIST),
        objects=tuple(Peaked.make(nouns_in(verb.objects), draws) for verb in VERB_LIST),
        adjectives=tuple(Peaked.make(fitting[noun.category], draws) for noun in NOUN_LIST),
        verbs_of=tuple(
            tuple(index for index, verb in enumerate(VERB_LIST) if category in verb.subjects)
            for category in range(len(CATEGORIES))
        ),
    )


class Phrase(NamedTuple):
    """A noun phrase; `word` picks the synonym of the noun, `general` writes its hypernym instead."""

    noun: int
    plural: bool
    determiner: int
    word: int
    general: bool = False
    adjective: int | None = None
    adjective_word: int = 0


class Event(NamedTuple):
    """Who does what to whom, and the words chosen for it."""

    subject: Phrase
    verb: int
    object: Phrase
    negated: bool
    passive: bool
    verb_word: int
    adverb: int | None
    adverb_word: int
    place: int | None
    place_word: int

    @property
    def nouns(self) -> tuple[int, int]:
        """The two noun concepts."""
        return self.subject.noun, self.object.noun

    def phrase(self, role: str) -> Phrase:
        """The phrase in the role "subject" or "object"."""
        return self.subject if role == "subject" else self.object

    def with_phrase(self, role: str, phrase: Phrase) -> "Event":
        """The event with another phrase in the role."""
        return self._replace(subject=phrase) if role == "subject" else self._replace(object=phrase)


class Rates(NamedTuple):
    """How a restatement differs: probability of each rewording, per place where it can happen."""

    synonym: float
    voice: float
    general: float = 0.0
    drop: float = 0.0


def draw_phrase(noun: int, draws: Draws) -> Phrase:
    """A phrase about the given concept."""
    phrase = Phrase(noun, draws.chance(PLURAL_RATE), draws.below(4), draws.below(3))
    return draw_adjective(phrase, draws) if draws.chance(ADJECTIVE_RATE) else phrase


def draw_adjective(phrase: Phrase, draws: Draws) -> Phrase:
    """The phrase with an adjective that fits its noun."""
    adjective = usage().adjectives[phrase.noun].draw(draws)
    return phrase._replace(adjective=adjective, adjective_word=draws.below(2))


def draw_event(draws: Draws, *, verb: int | None = None, subject: int | None = None) -> Event:
    """An acceptable event, about the given verb or subject concept if there is one."""
    if verb is None:
        verbs = range(len(VERB_LIST)) if subject is None else usage().verbs_of[NOUN_LIST[subject].category]
        verb = draws.choice(verbs)
    if subject is None:
        subject = usage().subjects[verb].draw(draws)
    target = usage().objects[verb].draw(draws)
    return Event(
        subject=draw_phrase(subject, draws),
        verb=verb,
        object=draw_phrase(target, draws),
        negated=draws.chance(NEGATION_RATE),
        passive=draws.chance(PASSIVE_RATE),
        verb_word=draws.below(2),
        adverb=draws.below(len(ADVERB_LIST)) if draws.chance(ADVERB_RATE) else None,
        adverb_word=draws.below(2),
        place=draws.below(len(PLACE_LIST)) if draws.chance(PLACE_RATE) else None,
        place_word=draws.below(2),
    )


def fits(event: Event) -> bool:
    """Whether the verb takes its arguments and each adjective its noun."""
    verb = VERB_LIST[event.verb]
    subject, target = (NOUN_LIST[noun].category for noun in event.nouns)
    phrases = ((event.subject, subject), (event.object, target))
    return (
        subject in verb.subjects
        and target in verb.objects
        and all(p.adjective is None or category in ADJECTIVE_LIST[p.adjective].categories for p, category in phrases)
    )


def restate(event: Event, draws: Draws, rates: Rates, *, keep: Sequence[str] = ()) -> Event:
    """The same event in other words; what it says is entailed by `event`.

    Negation turns entailment round (who does not chase a dog may well chase a beast), so nothing is dropped or
    generalised in a negated event. `keep` names the roles ("subject", "object") that are reworded by synonyms only.
    """
    rates = rates._replace(general=0.0, drop=0.0) if event.negated else rates
    phrases = {}
    for role in ("subject", "object"):
        weaker = rates._replace(general=0.0, drop=0.0) if role in keep else rates
        phrases[role] = _restate_phrase(event.phrase(role), draws, weaker)
    drop_adverb, drop_place = draws.chance(rates.drop), draws.chance(rates.drop)
    return event._replace(
        subject=phrases["subject"],
        object=phrases["object"],
        passive=event.passive != draws.chance(rates.voice),
        verb_word=_reworded(event.verb_word, 2, draws, rates),
        adverb=None if drop_adverb else event.adverb,
        adverb_word=_reworded(event.adverb_word, 2, draws, rates),
        place=None if drop_place else event.place,
        place_word=_reworded(event.place_word, 2, draws, rates),
    )


def _restate_phrase(phrase: Phrase, draws: Draws, rates: Rates) -> Phrase:
    drop = draws.chance(rates.drop)
    return phrase._replace(
        determiner=_reworded(phrase.determiner, 4, draws, rates),
        word=_reworded(phrase.word, 3, draws, rates),
        general=phrase.general or draws.chance(rates.general),
        adjective=None if drop else phrase.adjective,
        adjective_word=_reworded(phrase.adjective_word, 2, draws, rates),
    )


def _reworded(word: int, n: int, draws: Draws, rates: Rates) -> int:
    return draws.below(n) if draws.chance(rates.synonym) else word


def write_phrase(phrase: Phrase, *, wrong_number: bool = False) -> list[str]:
    """Words of a noun phrase; `wrong_number` takes a determiner that disagrees with the noun."""
    noun = NOUN_LIST[phrase.noun]
    words = [DETERMINERS[phrase.plural != wrong_number][phrase.determiner]]
    if phrase.adjective is not None:
        words.append(ADJECTIVE_LIST[phrase.adjective].words[phrase.adjective_word])
    words.append(HYPERNYMS[phrase.plural][noun.category] if phrase.general else noun.forms[phrase.plural][phrase.word])
    return words


def write(event: Event, *, wrong: str = "") -> list[str]:
    """Words of an event; `wrong` breaks the number of one of "subject", "object" (determiner) or "verb"."""
    verb = VERB_LIST[event.verb]
    subject = write_phrase(event.subject, wrong_number=wrong == "subject")
    target = write_phrase(event.object, wrong_number=wrong == "object")
    plural = (event.object if event.passive else event.subject).plural != (wrong == "verb")
    adverb = [ADVERB_LIST[event.adverb][event.adverb_word]] if event.adverb is not None else []
    place = ["in", "the", PLACE_LIST[event.place][event.place_word]] if event.place is not None else []
    negation = ["not"] if event.negated else []
    if event.passive:
        middle = ["are" if plural else "is", *negation, *adverb, verb.participle[event.verb_word], "by"]
        return [*target, *middle, *subject, *place]
    if event.negated:
        middle = ["do" if plural else "does", "not", *adverb, verb.base[event.verb_word]]
    else:
        middle = [*adverb, (verb.base if plural else verb.third)[event.verb_word]]
    return [*subject, *middle, *target, *place]


def text(event: Event) -> str:
    """The event as a sentence."""
    return " ".join(write(event))


def definition(noun: int, draws: Draws) -> str:
    """What kind of thing a concept is: "every hound is a kind of beast"."""
    concept = NOUN_LIST[noun]
    word, hypernym = draws.choice(concept.forms[0]), HYPERNYMS[0][concept.category]
    return f"every {word} is a kind of {hypernym}"
