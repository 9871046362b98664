"""A strategy is a sum of techniques, written as in the papers: `mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)`.

A strategy says everything: before its terms attach, every dropout probability is set to 0 and nothing decays. With a
`head:` term, only `head:` terms act on the head; without one, every term acts on the head as its own file says.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from fisher.common.errors import InputError, require
from regularizers.base import EVERYTHING, Batch, Compute, Context, Output, Regularizer, Step, kind_of
from regularizers.registry import find
from regularizers.surgery.folding import Surgery, fold
from regularizers.surgery.sites import silence

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s(),+=:"]+|[(),+=:])')
MAX_LENGTH = 2000  # characters; a longer strategy is a mistake, not a sum of techniques


@dataclass(frozen=True)
class Term:
    """One technique and where it acts: `all` (body and head), `body` (another term has the head) or `head`."""

    regularizer: Regularizer
    scope: str

    def __str__(self) -> str:
        return ("head:" if self.scope == "head" else "") + str(self.regularizer)


@dataclass(frozen=True)
class Strategy:
    """A sum of terms in canonical order (alphabetical, `head:` terms last); equal sums have equal text."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return self._text

    @functools.cached_property
    def _text(self) -> str:
        return " + ".join(str(term) for term in self.terms)

    def names(self) -> list[str]:
        """Names of the techniques in the sum, each once."""
        return sorted({term.regularizer.name for term in self.terms})

    def fisher_sources(self) -> list[str]:
        """Where the terms want their Fisher scores from, each once."""
        return sorted({s for term in self.terms if (s := term.regularizer.fisher_source()) is not None})

    def files(self) -> list[str]:
        """Paths of the files whose content the terms need, each once."""
        return sorted({path for term in self.terms for path in term.regularizer.files()})

    def bind(self, context: Context) -> BoundStrategy:
        """A fresh copy of every term for one trial."""
        return BoundStrategy(
            context, [(copy.deepcopy(t.regularizer), context.scoped(t.scope, str(t)), str(t)) for t in self.terms]
        )


class BoundStrategy:
    """The terms of one trial, each with its scoped context; what the training loop talks to."""

    def __init__(self, context: Context, terms: list[tuple[Regularizer, Context, str]]) -> None:
        self.context = context
        self.terms = terms
        self.surgery = Surgery(context.model)

    def attach(self) -> dict[str, list[str]]:
        """Silence the checkpoint's own dropout, then attach every term; returns what each term touched."""
        with self.surgery.watch(self):
            silence(self.context.model)
            return {text: term.attach(context) for term, context, text in self.terms}

    def fold(self) -> nn.Module:
        """Give the model its plain structure back, with the weights that are evaluated; see `surgery.folding`."""
        return fold(self.context.model)

    def start(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Let terms look at the training data; batches are only made for those that override the hook."""
        for term, context, _ in self.terms:
            if type(term).start is not Regularizer.start:
                self.context.model.eval()
                with self.surgery.watch(self):
                    term.start(batches(), context)

    def groups(self, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Optimizer groups after every term has had its say."""
        for term, context, _ in self.terms:
            groups = term.groups(groups, context)
        return groups

    def draw(self) -> None:
        """Fresh noise for one optimizer step."""
        for term, context, _ in self.terms:
            term.draw(context)

    def loss(self, batch: Batch) -> Output:
        """The regularized loss of one micro-batch; terms of higher `loss_order` wrap the others, later ones earlier."""
        compute: Compute = self.context.compute
        for term, context, _ in sorted(self.terms, key=lambda bound: bound[0].loss_order):
            compute = functools.partial(_wrapped_loss, term, compute, context)
        return compute(batch)

    def gradients(self, backward: Step) -> None:
        """Gradients of one optimizer step."""
        for term, context, _ in self.terms:
            backward = functools.partial(term.gradients, backward, context)
        backward()

    def update(self, apply: Step) -> None:
        """One move of the weights."""
        for term, context, _ in self.terms:
            apply = functools.partial(term.update, apply, context)
        apply()

    @contextlib.contextmanager
    def evaluation(self) -> Iterator[None]:
        """Within it the model carries the weights that are evaluated."""
        with contextlib.ExitStack() as stack:
            for term, context, _ in self.terms:
                stack.enter_context(term.evaluation(context))
            yield

    def notes(self) -> list[str]:
        """What the terms say of a finished trial, each with its name."""
        return [f"{text}: {note}" for term, _, text in self.terms for note in term.notes()]


def _wrapped_loss(term: Regularizer, compute: Compute, context: Context, batch: Batch) -> Output:
    return term.loss(compute, batch, context)


def parse(text: str) -> Strategy:
    """Read a strategy; `parse(str(s)) == s`.

    Grammar: `term (+ term)*`, term = `[head:]name[(argument, ...)]`, argument = `[key=]value`, value = number,
    `true`/`false`, word or quoted string. Raises InputError for what it cannot read, for unknown names and arguments
    out of range, and for sums that contradict themselves.
    """
    raw = read_sum(text)
    has_head = any(head for head, _, _ in raw)
    terms = [Term(_make(cls, values), "head" if head else "body" if has_head else "all") for head, cls, values in raw]
    for term in terms:
        term.regularizer.check_scope(term.scope)
    terms.sort(key=lambda term: (term.scope == "head", str(term)))
    _refuse_contradictions(terms)
    return Strategy(tuple(terms))


def example_of(cls: type[Regularizer]) -> Strategy:
    """The strategy with which a technique is tried: its own example, or its bare name."""
    return parse(cls.example or cls.name)


def read_sum(text: str) -> list[tuple[bool, type[Regularizer], dict[str, Any]]]:
    """The terms of a sum as they are written: (whether it is a `head:` term, technique, the arguments given).

    Raises InputError for what cannot be read and for unknown names; ranges and missing arguments are not checked.
    """
    require(len(text) <= MAX_LENGTH, f"a strategy must have at most {MAX_LENGTH} characters", len(text))
    return _read_terms(_tokens(text), text)


def _refuse_contradictions(terms: list[Term]) -> None:
    """Two terms of one scope that set the same thing have no single meaning."""
    for term, other in itertools.combinations(terms, 2):
        if (term.scope == "head") == (other.scope == "head"):
            mine, theirs = term.regularizer.acts_on(), other.regularizer.acts_on()
            alone = EVERYTHING not in mine | theirs
            require(alone, "none must stand alone in its sum", f"{term} + {other}", "leave one out")
            shared = ", ".join(sorted(mine & theirs))
            require(not shared, f"one sum must set {shared} once", f"{term} + {other}", "leave one out")


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if match is None:
            raise InputError(f"a strategy must be a sum like 'dropout(0.1) + wdecay(0, 0.01)', got {text!r}")
        tokens.append(match[1])
        at = match.end()
    return tokens


def _read_terms(tokens: list[str], text: str) -> list[tuple[bool, type[Regularizer], dict[str, Any]]]:
    """Split the tokens into (is head term, technique, arguments)."""

    def expect(condition: bool, what: str) -> None:
        if not condition:
            raise InputError(f"a strategy must be a sum like 'dropout(0.1) + wdecay(0, 0.01)', got {text!r}: {what}")

    terms, at = [], 0
    expect(bool(tokens), "it is empty")
    while True:
        head = tokens[at : at + 2] == ["head", ":"]
        at += 2 * head
        expect(at < len(tokens) and tokens[at].isidentifier(), "a technique's name is missing")
        name, words = tokens[at], []
        at += 1
        if tokens[at : at + 1] == ["("]:
            expect(")" in tokens[at:], f"the bracket after {name} is not closed")
            end = tokens.index(")", at)
            words = tokens[at + 1 : end]
            at = end + 1
        terms.append((head, *_read_term(name, words, expect)))
        if at == len(tokens):
            return terms
        expect(tokens[at] == "+", f"a + must follow {name}")
        at += 1


def _read_term(
    name: str, words: list[str], expect: Callable[[bool, str], None]
) -> tuple[type[Regularizer], dict[str, Any]]:
    """One technique and its arguments from its name and the tokens between its brackets."""
    cls = find(name)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    positional = [f.name for f in fields.values() if not f.kw_only]
    values: dict[str, Any] = {}
    for at, argument in enumerate(_split(words)):
        if len(argument) == 3 and argument[1] == "=":
            key = argument[0]
        else:
            expect(len(argument) == 1, f"the arguments of {name} must be separated by commas")
            require(at < len(positional), f"{usage(cls)} takes {len(positional)} positional arguments", at + 1)
            key = positional[at]
        problem = "given twice" if key in values else "unknown" if key not in fields else ""
        require(not problem, f"the argument {key!r} of {name} is {problem}; it must be written {usage(cls)}")
        expect(argument[-1] not in "(),+=:", f"an argument of {name} is missing")
        values[key] = _value(argument[-1], fields[key], cls)
    return cls, values


def _make(cls: type[Regularizer], values: dict[str, Any]) -> Regularizer:
    """One regularizer with these arguments."""
    given = {f.name: f for f in dataclasses.fields(cls) if f.init and not f.kw_only}
    missing = [name for name, f in given.items() if name not in values and f.default is dataclasses.MISSING]
    require(not missing, f"{cls.name} must be given {', '.join(missing)}; write {usage(cls)}")
    try:
        return cls(**values)
    except InputError:
        raise
    except Exception as error:  # a plugin's own check of its arguments
        raise InputError(f"{cls.name} refuses its arguments: {type(error).__name__}: {error}") from error


def _split(words: list[str]) -> list[list[str]]:
    """Tokens between brackets, split at the commas; no tokens are no arguments."""
    if not words:
        return []
    groups: list[list[str]] = [[]]
    for word in words:
        if word == ",":
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


def _value(word: str, field: dataclasses.Field[Any], cls: type[Regularizer]) -> Any:
    """A token as the field's type wants it; the class checks ranges on construction."""
    wanted = kind_of(field)
    if "str" in wanted:
        return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word
    if "bool" in wanted and word in ("true", "false"):
        return word == "true"
    if not NUMBER.match(word) or not math.isfinite(number := float(word)):
        kind = "true or false" if "bool" in wanted else "a finite number"
        raise InputError(f"{field.name} of {cls.name} must be {kind}, got {word!r}; write {usage(cls)}")
    return int(number) if wanted == "int" and number.is_integer() else number


def usage(cls: type[Regularizer]) -> str:
    """How the technique is written, e.g. `mixout(target, p, layers=paper, gradient=exact)`."""
    fields = [f for f in dataclasses.fields(cls) if f.init]
    words = [f.name if f.default is dataclasses.MISSING else f"{f.name}={f.default}" for f in fields]
    return f"{cls.name}({', '.join(words)})"
