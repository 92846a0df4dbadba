"""Text to syntax tree. After an error the parser goes on behind it, so that one run reports all independent ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Tree
from lark.parsers.lalr_analysis import Shift

from mnetdsl import resources
from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.source import SourceFile, Span
from mnetdsl.syntax import ast, mistakes
from mnetdsl.syntax.build import TreeBuilder
from mnetdsl.syntax.layout import NEWLINE, Layout
from mnetdsl.syntax.unexpected import (
    CLOSING,
    OPENING,
    Unexpected,
    construct_at,
    indentation,
    open_brackets,
    starts_line,
)

MAX_NESTING = 100
"""Brackets and braces open at once; keeps every later walk of the tree within Python's stack."""
MAX_DEPTH = 200
"""Levels of the parse tree: chains of operators, dots and `else if` nest without any bracket."""
MAX_STACK = 20 * MAX_DEPTH
"""Parser states at once: what needs more nests deeper than MAX_DEPTH, and each token would cost more than the last."""
MAX_SYNTAX_ERRORS = 20
MAX_RECOVERIES = 1000
"""Errors that are recovered from, reported or not: what has more is no program."""
RECOVERY_RULES = ("setting", "used_name", "row", "statement", "item")
"""Rules that recovery gives up on: what is left of the innermost one is skipped to the end of its line."""
BETWEEN_COMMAS = ("setting", "used_name")
"""Of these, the ones that a comma ends too."""
HEADS = {
    "MODEL": (2, ("LPAR", "RPAR")),
    "BLOCK": (2, ("LPAR", "RPAR")),
    "DEPLOY": (2, ("OF", "NAME")),
    "FOR": (1, ("NAME", "IN", "NAME")),
    "IF": (1, ("TRUE",)),
    "ELSE": (0, ("IF", "TRUE")),
}
"""First word of what has a body -> how many of its tokens recovery keeps and what it puts behind them, so that the
body behind a wrong head is still parsed."""


def parse(source: SourceFile) -> ast.MnetFile:
    """The syntax tree; raises `MnetError` with all syntax errors of the file."""
    file, problems = parse_with_errors(source)
    if problems:
        raise MnetError(*problems)
    return file


def parse_with_errors(source: SourceFile) -> tuple[ast.MnetFile, tuple[Diagnostic, ...]]:
    """The syntax tree of all that could be parsed, and the syntax errors in the order of the text."""
    return _Parse(source).run()


class _KeepUnknown:
    """Tells lark to keep the terminals of what is no token, which no rule mentions."""

    always_accept = ("BAD_NUMBER", "BAD_ESCAPE", "UNTERMINATED", "BLOCK_COMMENT", "UNKNOWN")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return stream


@lru_cache(maxsize=1)
def grammar() -> Lark:
    """The LALR tables of `grammars/mnet.lark`."""
    return Lark(
        resources.grammar_text("mnet.lark"),
        start="file",
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
        maybe_placeholders=True,
        postlex=_KeepUnknown(),
    )


def lex_with_comments(source: SourceFile) -> Iterator[Token]:
    """All terminals of a text, comments and spaces included."""
    return grammar().lex(source.text, dont_ignore=True)


def _below(tree: Tree[Token], depth: int) -> Token | None:
    """The first token that stands more than `depth` nodes deep."""
    waiting: list[tuple[Tree[Token] | Token | None, int]] = [(tree, 0)]
    while waiting:
        node, level = waiting.pop()
        if isinstance(node, Tree):
            waiting.extend((child, level + 1) for child in reversed(node.children))
        elif isinstance(node, Token) and level > depth:
            return node
    return None


class _Parse:
    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.problems: list[Diagnostic] = []
        self.state = grammar().parse_interactive("").parser_state
        self.previous: Token | None = None
        self.layout = Layout(self._lex(), len(source.text))
        self.doubtful: tuple[Token, Token] | None = None
        """The first `{` and `}` that belong together by count but not by their indentation."""
        self.recovering = False
        """True behind an error until a line begins or a token fits: what does not fit before has the same cause."""
        self.recoveries = 0
        self.gave_up: Token | None = None
        """Where the line in front was given up; what belongs to it may follow."""

    def run(self) -> tuple[ast.MnetFile, tuple[Diagnostic, ...]]:
        empty = ast.MnetFile(Span(self.source, 0, 0), self.source, 1, ())
        try:
            for token in self.layout:
                if not self._accept(token):
                    self._recover(token)
                    self.recoveries += 1
                    if len(self.problems) >= MAX_SYNTAX_ERRORS or self.recoveries >= MAX_RECOVERIES:
                        return empty, tuple(self.problems)
        except MnetError as hopeless:
            return empty, (*self.problems, *hopeless.diagnostics)
        end = Token("$END", "", start_pos=len(self.source.text), end_pos=len(self.source.text))
        if not self._accept(end):
            if not self.recovering:
                self._report(end)
            return empty, tuple(self.problems)
        tree = self.state.value_stack[-1]
        deepest = _below(tree, MAX_DEPTH)
        if deepest is not None:
            return empty, (*self.problems, mistakes.too_deep(self.source, deepest, MAX_DEPTH))
        file = TreeBuilder(self.source).transform(tree)
        self.problems.extend(mistakes.after_parse(file))
        return file, tuple(self.problems)

    def _lex(self) -> Iterator[Token]:
        depth = braces = 0
        for token in grammar().lex(self.source.text):
            braces = 0 if token.type == NEWLINE else braces + (token.type == "LBRACE") - (token.type == "RBRACE")
            depth += token.type in OPENING
            depth -= token.type in CLOSING
            if depth > MAX_NESTING:
                raise MnetError(mistakes.too_deep(self.source, token, MAX_NESTING))
            yield token
            if token.type == "UNTERMINATED" and braces > 0 and token.rstrip().endswith("}"):
                yield Token("RBRACE", "}", start_pos=token.end_pos, end_pos=token.end_pos)

    def _accept(self, token: Token) -> bool:
        """Feeds a token if the grammar takes it here."""
        if not self._acceptable(token.type):
            return False
        if token.type == "RBRACE" and self.doubtful is None:
            opening = open_brackets(self.state.value_stack)[-1]
            if starts_line(self.source, token):
                in_line = indentation(self.source, opening) == indentation(self.source, token)
                self.doubtful = None if in_line else (opening, token)
        if token.type == "INT" and self.previous is not None and self.previous.type == "MNET":
            unknown = mistakes.unknown_edition(self.source, token)
            if unknown is not None:
                raise MnetError(unknown)
        if len(self.state.state_stack) > MAX_STACK:
            raise MnetError(mistakes.too_deep(self.source, token, MAX_DEPTH))
        self.state.feed_token(token, token.type == "$END")
        if token.type != NEWLINE:
            self.previous = token
            self.recovering, self.gave_up = False, None
        return True

    def _acceptable(self, kind: str) -> bool:
        """Whether the LALR tables lead to a shift of `kind`.

        Only the numbers of the states are walked: a reduction would build trees, which cannot be taken back.
        """
        states = self.state.parse_conf.parse_table.states
        action, _ = states[self.state.position].get(kind, (None, None))
        if action is None or action is Shift:
            return action is Shift
        stack = list(self.state.state_stack)
        while kind in (actions := states[stack[-1]]):
            action, argument = actions[kind]
            if action is Shift:
                return True
            size = len(argument.expansion)
            if size:
                del stack[-size:]
            stack.append(states[stack[-1]][argument.origin.name][1])
            if kind == "$END" and stack[-1] == self.state.parse_conf.end_state:
                return True
        return False

    def _report(self, token: Token) -> None:
        terminals = self.state.parse_conf.parse_table.states[self.state.position]
        expected = frozenset(kind for kind in terminals if kind.isupper() and self._acceptable(kind))
        opened = tuple(open_brackets(self.state.value_stack))
        self.problems.append(
            mistakes.diagnose(
                Unexpected(
                    self.source, token, self.previous, expected, opened, self.doubtful, self._outside(token) is not None
                )
            )
        )

    def _recover(self, token: Token) -> None:
        """Gives up the innermost list element and goes on behind it, or with the body behind its wrong head."""
        if not self.recovering and not self._belongs_to_what_was_given_up(token):
            self._report(token)
            self.gave_up = token
        self.recovering = True
        self._complete()
        if self._resume(token):
            return
        base, rule = self._base(RECOVERY_RULES)
        if rule is None:
            for _ in self.layout:
                pass
            return
        given_up = self.state.value_stack[base:]
        opened = open_brackets(given_up)
        depth = sum(bracket.type == "LBRACE" for bracket in opened)
        inner = len(opened) - depth
        head = None if opened[:1] and opened[0].type == "LBRACE" else _head([*given_up, token])
        skipped: Token | None = token
        while skipped is not None:
            kind = skipped.type
            if kind == "LBRACE":
                if depth == 0 and head is not None:
                    self._replace_head(base, *head)
                    self._accept(skipped)
                    return
                depth += 1
            elif kind == "RBRACE":
                if depth == 0:
                    self._give_up(base, rule)
                    self._accept(Token(NEWLINE, "", start_pos=skipped.start_pos, end_pos=skipped.start_pos))
                    self._accept(skipped)
                    return
                depth -= 1
            elif (kind == NEWLINE and depth == 0) or (
                kind == "COMMA" and depth == inner == 0 and rule in BETWEEN_COMMAS
            ):
                self._give_up(base, rule)
                self._accept(skipped)
                self.recovering = False
                return
            inner += (kind in ("LPAR", "LSQB")) - (kind in ("RPAR", "RSQB") and inner > 0)
            skipped = next(self.layout, None)
        self._give_up(base, rule)

    def _belongs_to_what_was_given_up(self, token: Token) -> bool:
        if self.gave_up is None:
            return False
        if token.type == "DOC":
            return self.gave_up.type == "DOC"
        deeper = indentation(self.source, token) > indentation(self.source, self.gave_up)
        return (deeper and starts_line(self.source, token)) or token.type in ("LBRACE", "RBRACE", "ELSE")

    def _complete(self) -> None:
        """Reduces what is complete whatever comes next, so that it is not given up with what stands behind it."""
        configuration, values, states = self.state.parse_conf, self.state.value_stack, self.state.state_stack
        while True:
            actions = list(configuration.parse_table.states[states[-1]].values())
            if any(action is Shift or rule is not actions[0][1] for action, rule in actions):
                return
            rule = actions[0][1]
            size = len(rule.expansion)
            children = values[len(values) - size :]
            self._truncate(len(values) - size)
            values.append(configuration.callbacks[rule](children) if rule in configuration.callbacks else children)
            states.append(configuration.parse_table.states[states[-1]][rule.origin.name][1])

    def _resume(self, token: Token) -> bool:
        """Goes on with `token` where it begins something new before a bracket or brace in front of it was closed."""
        opened = open_brackets(self.state.value_stack)
        if not opened:
            return False
        if opened[-1].type != "LBRACE":
            if not starts_line(self.source, token) or indentation(self.source, token) > indentation(
                self.source, opened[-1]
            ):
                return False
            base, rule = self._base(RECOVERY_RULES)
            if rule is None or token.type in (NEWLINE, *CLOSING):
                return False
            self._give_up(base, rule)
            self.layout.forget_brackets()
            self._accept(Token(NEWLINE, "", start_pos=token.start_pos, end_pos=token.start_pos))
            if not self._accept(token):
                self._recover(token)
            return True
        outside = self._outside(token)
        if outside is None:
            return False
        self._truncate(outside)
        return self._accept(token)

    def _outside(self, token: Token) -> int | None:
        """How many values stand in front of the open brace that `token`, the beginning of something else, misses."""
        kind = construct_at(self.source, token)
        base, rule = (0, None) if kind is None else self._base((kind,))
        return base if rule is not None and open_brackets(self.state.value_stack[base:]) else None

    def _base(self, rules: tuple[str, ...]) -> tuple[int, str | None]:
        """How many values to keep so that one of `rules` may stand next: as many as possible, no bracket halved."""
        states = self.state.parse_conf.parse_table.states
        values = self.state.value_stack
        closed = 0
        for size in range(len(values), -1, -1):
            kind = values[size].type if size < len(values) and isinstance(values[size], Token) else ""
            closed += (kind in CLOSING) - (kind in OPENING and closed > 0)
            goto: dict[str, Any] = states[self.state.state_stack[size]]
            for rule in rules:
                if rule in goto and not closed:
                    return size, rule
        return 0, None

    def _truncate(self, size: int) -> None:
        del self.state.value_stack[size:]
        del self.state.state_stack[size + 1 :]

    def _give_up(self, base: int, rule: str) -> None:
        """Puts a failed `rule` in place of what stands behind `base`."""
        self._truncate(base)
        states = self.state.parse_conf.parse_table.states
        self.state.state_stack.append(states[self.state.position][rule][1])
        self.state.value_stack.append(Tree("failed", []))

    def _replace_head(self, base: int, kept: int, put: tuple[str, ...]) -> None:
        self._truncate(base + kept)
        place = self.previous.end_pos if self.previous is not None else 0
        for kind in put:
            self._accept(Token(kind, "_", start_pos=place, end_pos=place))
        self.recovering = True


def _head(values: list[Any]) -> tuple[int, tuple[str, ...]] | None:
    """What to keep of `values`, the beginning of something that has a body, and what to put behind it."""
    docs = 1 if values and not isinstance(values[0], Token) else 0
    first = values[docs] if docs < len(values) else None
    if not isinstance(first, Token) or first.type not in HEADS:
        return None
    kept, put = HEADS[first.type]
    if kept == 2 and (len(values) < docs + 2 or values[docs + 1].type != "NAME" or len(values) == docs + 2):
        return None
    return docs + kept, put
