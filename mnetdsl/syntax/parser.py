"""Text to syntax tree. After an error the parser goes on behind it, so that one run reports all independent ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Tree
from lark.parsers.lalr_analysis import Shift

from mnetdsl import resources
from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.source import SourceFile
from mnetdsl.syntax import ast, mistakes
from mnetdsl.syntax.build import TreeBuilder
from mnetdsl.syntax.layout import NEWLINE, layout

MAX_NESTING = 100
"""Brackets and braces open at once; keeps every later walk of the tree within Python's stack."""
MAX_DEPTH = 200
"""Levels of the parse tree: chains of operators, dots and `else if` nest without any bracket."""
MAX_SYNTAX_ERRORS = 20
RECOVERY_RULES = ("statement", "row", "item")
"""Rules that recovery gives up on, innermost first: what is left of them is skipped to the end of the line."""


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

    always_accept = ("UNTERMINATED", "UNKNOWN")

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
        self.open: list[Token] = []
        """Brackets and braces that are open, of what was accepted."""
        self.recovering = False
        """True behind an error until a token fits again: what does not fit before that has the same cause."""

    def run(self) -> tuple[ast.MnetFile, tuple[Diagnostic, ...]]:
        empty = ast.MnetFile(mistakes.at(self.source, 0, 0), self.source, 1, ())
        tokens = self._tokens()
        try:
            for token in tokens:
                if not self._accept(token):
                    self._recover(token, tokens)
                    if len(self.problems) >= MAX_SYNTAX_ERRORS:
                        return empty, tuple(self.problems)
        except MnetError as hopeless:
            return empty, (*self.problems, *hopeless.diagnostics)
        end = Token("$END", "", start_pos=len(self.source.text), end_pos=len(self.source.text))
        if not self._accept(end, is_end=True):
            if not self.problems:
                self._report(end)
            return empty, tuple(self.problems)
        tree = self.state.value_stack[-1]
        deepest = _below(tree, MAX_DEPTH)
        if deepest is not None:
            return empty, (*self.problems, mistakes.too_deep(self.source, deepest, MAX_DEPTH))
        file = TreeBuilder(self.source).transform(tree)
        self.problems.extend(mistakes.after_parse(file))
        return file, tuple(self.problems)

    def _tokens(self) -> Iterator[Token]:
        return layout(self._lex(), len(self.source.text))

    def _lex(self) -> Iterator[Token]:
        depth = 0
        for token in grammar().lex(self.source.text):
            depth += token.type in mistakes.OPENING
            depth -= token.type in mistakes.CLOSING
            if depth > MAX_NESTING:
                raise MnetError(mistakes.too_deep(self.source, token, MAX_NESTING))
            yield token

    def _accept(self, token: Token, is_end: bool = False) -> bool:
        """Feeds a token if the grammar takes it here."""
        if not self._acceptable(token.type):
            return False
        self.state.feed_token(token, is_end)
        if token.type in mistakes.OPENING:
            self.open.append(token)
        elif token.type in mistakes.CLOSING and self.open:
            self.open.pop()
        if token.type != NEWLINE:
            self.previous = token
            self.recovering = False
        return True

    def _acceptable(self, kind: str) -> bool:
        """Whether the LALR tables lead to a shift of `kind`.

        Only the numbers of the states are walked: a reduction would build trees, which cannot be taken back.
        """
        states = self.state.parse_conf.parse_table.states
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
        expected = frozenset(kind for kind in terminals if self._acceptable(kind))
        found = mistakes.Unexpected(self.source, token, self.previous, expected, tuple(self.open))
        self.problems.append(mistakes.diagnose(found))

    def _recover(self, token: Token, tokens: Iterator[Token]) -> None:
        """Gives up the innermost statement, table row or item and skips to the end of its line or its braces."""
        if not self.recovering:
            self._report(token)
        self.recovering = True
        rule = self._pop_to_recovery()
        if rule is None:
            for _ in tokens:
                pass
            return
        depth = 0
        skipped: Token | None = token
        while skipped is not None:
            if skipped.type == "LBRACE":
                depth += 1
            elif skipped.type == "RBRACE":
                if depth == 0 and self._close(skipped):
                    return
                depth = max(depth - 1, 0)
            elif skipped.type == NEWLINE and depth == 0 and self._accept(skipped):
                return
            skipped = next(tokens, None)

    def _close(self, brace: Token) -> bool:
        """Ends the statement before a `}` that belongs to the body around it."""
        self._accept(Token(NEWLINE, "", start_pos=brace.start_pos, end_pos=brace.start_pos))
        return self._accept(brace)

    def _pop_to_recovery(self) -> str | None:
        """Drops parser states until a whole statement, row or item may stand there, and puts a failed one."""
        states = self.state.parse_conf.parse_table.states
        stack, values = self.state.state_stack, self.state.value_stack
        while len(stack) > 1:
            goto: dict[str, Any] = states[stack[-1]]
            for rule in RECOVERY_RULES:
                if rule in goto:
                    stack.append(goto[rule][1])
                    values.append(Tree("failed", []))
                    self.open = [token for token in self.open if token.type == "LBRACE"][: _open_braces(values)]
                    return rule
            stack.pop()
            values.pop()
        return None


def _open_braces(values: list[Any]) -> int:
    return sum(isinstance(value, Token) and value.type == "LBRACE" for value in values)
