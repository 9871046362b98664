"""Words of the pocket language and which of them go together.

The words are borrowed from English so that examples can be read; what they mean is fixed by these tables alone.
One line is one concept, the words on it are its synonyms. All inflection is regular.
"""

from typing import NamedTuple

# category (its name is the hypernym) -> six concepts; the first four categories can act
NOUNS = {
    "worker": (
        "doctor physician medic",
        "teacher tutor instructor",
        "cook chef caterer",
        "tailor clothier outfitter",
        "merchant trader vendor",
        "builder mason carpenter",
    ),
    "rogue": (
        "robber burglar bandit",
        "pirate corsair buccaneer",
        "liar fibber deceiver",
        "spy informer infiltrator",
        "smuggler bootlegger poacher",
        "gambler bettor punter",
    ),
    "noble": (
        "king monarch sovereign",
        "prince heir dauphin",
        "knight cavalier paladin",
        "duke earl count",
        "judge magistrate arbiter",
        "bishop prelate cleric",
    ),
    "beast": (
        "dog hound canine",
        "cat feline tabby",
        "horse steed courser",
        "donkey mule burro",
        "rabbit hare bunny",
        "pig hog boar",
    ),
    "dish": (
        "soup broth chowder",
        "cake tart torte",
        "stew casserole ragout",
        "sausage frankfurter banger",
        "roll bun bagel",
        "pie pasty turnover",
    ),
    "tool": (
        "hammer mallet gavel",
        "axe hatchet cleaver",
        "spade shovel trowel",
        "needle pin bodkin",
        "bucket pail tub",
        "rope cord cable",
    ),
    "vehicle": (
        "car automobile sedan",
        "boat vessel skiff",
        "wagon cart carriage",
        "truck lorry hauler",
        "bicycle bike cycle",
        "sled sleigh toboggan",
    ),
    "document": (
        "letter epistle missive",
        "book volume tome",
        "poem verse ode",
        "contract treaty pact",
        "map chart atlas",
        "report memo bulletin",
    ),
}

# synonyms | categories of the subject | categories of the object
VERBS = (
    "praise commend | worker rogue | worker rogue",
    "warn caution | worker rogue | rogue beast",
    "order request | worker rogue | dish tool",
    "repair mend | worker rogue | tool vehicle",
    "copy duplicate | worker rogue | document tool",
    "hire engage | worker rogue | vehicle worker",
    "greet welcome | worker noble | worker noble",
    "help assist | worker noble | noble rogue",
    "study examine | worker noble | document dish",
    "inspect check | worker noble | vehicle document",
    "enjoy relish | worker noble | dish document",
    "collect gather | worker noble | document tool",
    "follow trail | worker beast | worker beast",
    "watch observe | worker beast | beast noble",
    "guard protect | worker beast | vehicle dish",
    "touch handle | worker beast | tool dish",
    "carry transport | worker beast | document dish",
    "pull haul | worker beast | vehicle tool",
    "insult offend | rogue noble | rogue noble",
    "punish chastise | rogue noble | noble worker",
    "seize snatch | rogue noble | document vehicle",
    "desire covet | rogue noble | dish vehicle",
    "burn ignite | rogue noble | document vehicle",
    "trade barter | rogue noble | tool dish",
    "attack assault | rogue beast | rogue beast",
    "frighten scare | rogue beast | beast worker",
    "devour consume | rogue beast | dish beast",
    "damage ruin | rogue beast | vehicle tool",
    "bury conceal | rogue beast | tool document",
    "discover locate | rogue beast | dish vehicle",
    "chase pursue | noble beast | noble beast",
    "admire adore | noble beast | worker noble",
    "ignore neglect | noble beast | tool document",
    "push shove | noble beast | vehicle tool",
    "reject refuse | noble beast | dish document",
    "avoid dodge | noble beast | vehicle rogue",
)

# synonyms | synonyms of the opposite | categories both fit
ADJECTIVES = (
    "big large | small little | beast tool dish",
    "old ancient | new modern | tool vehicle document",
    "happy cheerful | sad gloomy | worker noble beast",
    "rich wealthy | poor needy | worker rogue noble",
    "brave bold | timid cowardly | rogue noble beast",
    "honest sincere | sly cunning | worker rogue noble",
    "clean spotless | dirty filthy | dish tool document",
    "hot warm | cold chilly | dish tool beast",
    "heavy weighty | light portable | tool vehicle document",
    "expensive costly | cheap modest | dish vehicle document",
    "famous renowned | obscure unknown | worker noble document",
    "fast swift | slow sluggish | beast vehicle rogue",
)

ADVERBS = (
    "quickly rapidly",
    "quietly silently",
    "loudly noisily",
    "carefully cautiously",
    "often frequently",
    "secretly covertly",
    "gladly willingly",
    "suddenly abruptly",
)
PLACES = (
    "garden yard",
    "kitchen galley",
    "market bazaar",
    "castle palace",
    "forest wood",
    "church chapel",
    "harbor port",
    "valley glen",
    "tavern inn",
    "school academy",
)
DETERMINERS = (("this", "that", "one", "another"), ("these", "those", "some", "several"))  # singular, plural
FUNCTION_WORDS = ("is", "are", "does", "do", "not", "by", "in", "the", "every", "a", "kind", "of")


class Noun(NamedTuple):
    """A noun concept: forms[plural] are its synonyms, category indexes CATEGORIES."""

    forms: tuple[tuple[str, ...], tuple[str, ...]]
    category: int


class Verb(NamedTuple):
    """A verb concept: its synonyms in three forms and the categories it takes."""

    third: tuple[str, ...]
    base: tuple[str, ...]
    participle: tuple[str, ...]
    subjects: tuple[int, ...]
    objects: tuple[int, ...]


class Adjective(NamedTuple):
    """An adjective concept; the opposite of the adjective with index i has index i ^ 1."""

    words: tuple[str, ...]
    categories: tuple[int, ...]


def add_s(word: str) -> str:
    """Plural of a noun and third person of a verb: hound -> hounds, spy -> spies, push -> pushes."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def add_ed(word: str) -> str:
    """Participle of a regular verb: order -> ordered, carry -> carried, praise -> praised."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ied"
    return word + ("d" if word.endswith("e") else "ed")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _both_numbers(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return words, tuple(add_s(word) for word in words)


def _verb(line: str) -> Verb:
    base, subjects, objects = map(_words, line.split("|"))
    inflected = (tuple(map(add_s, base)), base, tuple(map(add_ed, base)))
    return Verb(*inflected, tuple(map(CATEGORIES.index, subjects)), tuple(map(CATEGORIES.index, objects)))


def _adjectives(line: str) -> tuple[Adjective, Adjective]:
    words, opposite, fits = map(_words, line.split("|"))
    categories = tuple(map(CATEGORIES.index, fits))
    return Adjective(words, categories), Adjective(opposite, categories)


CATEGORIES = tuple(NOUNS)
ANIMATE = 4  # categories 0..3 can be subjects
HYPERNYMS = _both_numbers(CATEGORIES)
NOUN_LIST = tuple(
    Noun(_both_numbers(_words(line)), index) for index, lines in enumerate(NOUNS.values()) for line in lines
)
VERB_LIST = tuple(_verb(line) for line in VERBS)
ADJECTIVE_LIST = tuple(adjective for line in ADJECTIVES for adjective in _adjectives(line))
ADVERB_LIST = tuple(map(_words, ADVERBS))
PLACE_LIST = tuple(map(_words, PLACES))


def vocabulary() -> list[str]:
    """Every word of the language once, in a fixed order (function words, then the tables from top to bottom)."""
    groups: list[tuple[str, ...]] = [FUNCTION_WORDS, *DETERMINERS, *HYPERNYMS]
    groups += [forms for noun in NOUN_LIST for forms in noun.forms]
    groups += [forms for verb in VERB_LIST for forms in (verb.third, verb.base, verb.participle)]
    groups += [adjective.words for adjective in ADJECTIVE_LIST]
    groups += [*ADVERB_LIST, *PLACE_LIST]
    return [word for group in groups for word in group]
