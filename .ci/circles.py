#!/usr/bin/env python3
"""Finds modules of a Rust crate that import each other in a circle.

    circles.py CRATE...      prints the circles of each crate; exit status 1 when there is one
    circles.py --edges CRATE prints which module of the crate imports which, and by what names

Modules beside each other are compared: those that have the same parent, each with all that is below it. A module
and its parent may name each other, as Rust's `impl` blocks in several files do. A name that a module only hands on
(`pub use`) counts for the module that defines it. Test modules are left out.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

COMMENT_OR_TEXT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|r(\#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\.|[^'\\\n])'""", re.S
)
PATH = re.compile(r"\b(?:crate|super|self)(?:::\w+)+")
USE = re.compile(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);")
MODULE = re.compile(r"(#\[cfg\(test\)\]\s*)?(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*([;{])")


def bare(text):
    """The code without comments and texts, in which words like `use` mean nothing."""
    return COMMENT_OR_TEXT.sub(" ", text)


def without_inline_tests(code):
    """Cuts `#[cfg(test)] mod name { … }` out."""
    kept, at = [], 0
    for found in MODULE.finditer(code):
        if found.start() < at or not found[1] or found[3] != "{":
            continue
        depth, end = 1, found.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        kept.append(code[at : found.start()])
        at = end
    return "".join(kept) + code[at:]


def leaves(tree):
    """The paths of a use tree: `a::{b, c as d}` holds (a::b, b) and (a::c, d)."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        path, _, name = tree.partition(" as ")
        path = re.sub(r"\s", "", path)
        yield path, (name.strip() or path.rsplit("::", 1)[-1])
        return
    head, inner = tree[:brace], tree[brace + 1 : tree.rindex("}")]
    depth, start = 0, 0
    for at, sign in enumerate(inner + ","):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            if inner[start:at].strip():
                for path, name in leaves(inner[start:at]):
                    if path == "self":
                        yield head.rstrip(": "), head.rstrip(": ").rsplit("::", 1)[-1]
                    else:
                        yield re.sub(r"\s", "", head) + path, name
            start = at + 1


class Crate:
    """The modules of one crate and what each names. A module is a tuple of names; the root is ()."""

    def __init__(self, source):
        self.children, self.handed_on, self.code = defaultdict(set), defaultdict(dict), {}
        self.everything_of = defaultdict(list)
        for root in ("lib.rs", "main.rs"):
            if (source / root).exists():
                self.read((), source / root, source)
                break

    def read(self, module, file, folder):
        code = without_inline_tests(bare(file.read_text()))
        self.code[module] = code
        for is_test, name, _ in ((m[1], m[2], m[3]) for m in MODULE.finditer(code) if m[3] == ";"):
            below = next((f for f in (folder / f"{name}.rs", folder / name / "mod.rs") if f.exists()), None)
            if is_test or below is None:
                continue
            self.children[module].add(name)
            self.read(module + (name,), below, folder / name)
        for public, tree in USE.findall(code):
            for path, name in leaves(tree):
                if name == "*" and public:
                    self.everything_of[module].append(path[:-3])
                elif public or path.split("::")[0] in self.children[module]:
                    self.handed_on[module][name] = path

    def resolve(self, module, path, depth=0):
        """The module that defines what `path` names when written in `module`; None when another crate does."""
        words = path.split("::")
        if words[0] == "crate":
            at, words = (), words[1:]
        elif words[0] == "self":
            at, words = module, words[1:]
        elif words[0] == "super":
            at = module
            while words and words[0] == "super":
                at, words = at[:-1], words[1:]
        elif words[0] in self.children[module]:
            at = module
        else:
            return None
        for number, word in enumerate(words):
            if word in self.children[at]:
                at += (word,)
                continue
            rest = "::".join(words[number + 1 :])
            target = self.handed_on[at].get(word)
            candidates = [target] if target else [f"{every}::{word}" for every in self.everything_of[at]]
            for candidate in candidates if depth < 20 else []:
                found = self.resolve(at, candidate + ("::" + rest if rest else ""), depth + 1)
                if found is not None and found != at:
                    return found
            return at
        return at

    def named(self):
        """(module, module that it names, the name), each once."""
        seen = set()
        for module, code in self.code.items():
            paths = [path for _, tree in USE.findall(code) for path, _ in leaves(tree)]
            paths += PATH.findall(USE.sub(" ", code))
            for path in paths:
                target = self.resolve(module, path.removesuffix("::*"))
                if target is not None and target != module:
                    seen.add((module, target, path.rsplit("::", 1)[-1]))
        return sorted(seen)

    def edges(self):
        """By parent: which child names which other child, and by what."""
        edges = defaultdict(lambda: defaultdict(set))
        for module, target, name in self.named():
            shared = 0
            while shared < min(len(module), len(target)) and module[shared] == target[shared]:
                shared += 1
            if shared < len(module) and shared < len(target):
                pair = module[shared], target[shared]
                edges[module[:shared]][pair].add(f"{'::'.join(module)} names {'::'.join(target)}::{name}")
        return edges

    def circles(self):
        """(parent, its children that name each other in a circle, the names)."""
        for parent, pairs in sorted(self.edges().items()):
            for circle in strongly_connected(pairs):
                inside = {pair: names for pair, names in pairs.items() if set(pair) <= circle}
                yield parent, circle, inside


def strongly_connected(pairs):
    """The sets of two or more nodes that reach each other."""
    next_of = defaultdict(set)
    for a, b in pairs:
        next_of[a].add(b)

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for node in next_of[todo.pop()] - seen:
                seen.add(node)
                todo.append(node)
        return seen

    reached = {node: reach(node) for node in list(next_of)}
    circles = {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in reached}
    return sorted((circle for circle in circles if len(circle) > 1), key=sorted)


def main(arguments):
    if arguments[:1] == ["--edges"]:
        for parent, pairs in sorted(Crate(Path(arguments[1]) / "src").edges().items()):
            for (a, b), names in sorted(pairs.items()):
                print(f"{'::'.join(parent) or 'crate'}: {a} -> {b}  ({len(names)})")
        return 0
    found = 0
    for crate in arguments:
        for parent, circle, pairs in Crate(Path(crate) / "src").circles():
            found += 1
            print(f"{crate}, in {'::'.join(('crate',) + parent)}: {', '.join(sorted(circle))}")
            for pair, names in sorted(pairs.items()):
                print(f"  {pair[0]} -> {pair[1]}")
                for name in sorted(names):
                    print(f"    {name}")
    print(f"{found} circles of modules" if found else "no circle of modules")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
