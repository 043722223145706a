"""Digest of the code that a calibration holds for: comments, docstrings and layout do not count."""

import ast
import hashlib
import io
import tokenize
from importlib.util import find_spec
from pathlib import Path

WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef


def digest(modules: tuple[str, ...]) -> str:
    """Digest of modules, or of one function or class of a module (``module:name``)."""
    return hashlib.sha256("\n".join(code_of(name) for name in modules).encode()).hexdigest()[:16]


def code_of(where: str) -> str:
    """Code of a module, or of one function or class of it.

    Raises
    ------
    LookupError
        The module has no such function or class at its top.
    """
    module, _, name = where.partition(":")
    spec = find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    text = Path(spec.origin).read_text(encoding="utf-8")
    if not name:
        return bare(text)
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            return bare("\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n")
    raise LookupError(f"{module} has no {name}")


def bare(text: str) -> str:
    """Words of Python code, without comments, docstrings (also those below a constant) and layout."""
    bodies = (node.body for node in ast.walk(ast.parse(text)) if isinstance(node, WITH_DOCSTRING))
    told = {
        (statement.value.lineno, statement.value.col_offset)
        for body in bodies
        for statement in body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    words, depth, first = [], 0, True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        depth += {tokenize.INDENT: 1, tokenize.DEDENT: -1}.get(token.type, 0)
        first |= token.type == tokenize.NEWLINE
        if token.type in layout or token.start in told:
            continue
        words.append(f"{depth} {token.string}" if first else token.string)
        first = False
    return " ".join(words)
