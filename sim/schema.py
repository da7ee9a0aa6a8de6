"""YAML -> frozen, closed, documented object; how problems are told.

A document is read as plain data with the line of every key (`read_yaml`), then validated against a closed class
(`validate`). Whatever is wrong is told at once, as a list of `Problem`: file, line, path, what was found, what is
welcome instead, the nearest right name.
"""

from __future__ import annotations

import calendar
import math
import os
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, PlainValidator, Tag, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

KeyPath = tuple[str, ...]
"""Keys from the top of a document down to a value; places in a list are written as numbers from 0."""

Place = tuple[str, int | None]
"""A file (or "The command line") and a line in it, where it is known."""

Locator = Callable[[KeyPath], Place]
"""Says where a value was written."""

LARGEST_FILE = 5_000_000
"""Bytes above which a YAML document is refused unread."""

DEEPEST = 50
"""Levels of nesting above which a YAML document is refused."""


Model = TypeVar("Model", bound="Closed")


class Closed(BaseModel):
    """A frozen object that knows all its keys: unknown ones are refused, nothing is converted silently."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    noun: ClassVar[str] = "key"
    """What an entry of this object is called when a name is unknown."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Travel between processes as plain data, validated again on arrival."""
        return _arrived, (type(self), self.model_dump(mode="json", by_alias=True))


def documented(cls: type[Model]) -> type[Model]:
    """A class from which others are made by machine: these have no source in which to look for docstrings, slowly."""
    cls.model_config["use_attribute_docstrings"] = False
    return cls


def _arrived(cls: type[Closed], data: dict[str, Any]) -> Closed:
    return cls.model_validate(data)


# ----------------------------------------------------------------------------------------------------------- problems


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input."""

    file: str
    """The file as the user would name it, or "The command line"."""

    line: int | None
    """Line in the file, from 1; None where there is none."""

    path: str
    """Keys down to the value, joined by " > "; empty for the document as a whole."""

    text: str
    """What was found and what is welcome instead."""

    def __str__(self) -> str:
        """Two lines: where it is, and what it is."""
        where = ": ".join(part for part in (f"line {self.line}" if self.line else "", self.path) if part)
        return f"  {where}\n    {self.text}" if where else f"  {self.text}"


class Failure(Exception):
    """Something failed that is no mistake of the input; its text is all that a user needs."""

    general: ClassVar[bool] = False
    """Whether all other work of a run would fail like this, so that it is not worth trying."""


class InputError(Exception):
    """The input is wrong; carries all problems, and reads as one paragraph for each file."""

    def __init__(self, problems: list[Problem]) -> None:
        """Problems in any order; each is told once."""
        self.problems = list(dict.fromkeys(problems))
        super().__init__(str(self))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[Problem]]]:
        """Travel between processes with the problems, not with their text."""
        return InputError, (self.problems,)

    def __str__(self) -> str:
        files = dict.fromkeys(problem.file for problem in self.problems)
        return "\n".join(_paragraph(file, [p for p in self.problems if p.file == file]) for file in files)


def _paragraph(file: str, problems: list[Problem]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    ordered = sorted(problems, key=lambda problem: problem.line or 0)
    return "\n".join([f"{file} has {count}:", *map(str, ordered)])


class Collected(list[Problem]):
    """Problems of several steps, so that they can be told all at once."""

    @contextmanager
    def step(self) -> Iterator[None]:
        """Keep the problems of this step and go on after it."""
        try:
            yield
        except InputError as error:
            self.extend(error.problems)

    def tell(self) -> None:
        """Raise everything collected, if anything was."""
        if self:
            raise InputError(self)


def nearest(name: object, names: Iterable[str]) -> str | None:
    """The right name that was probably meant: one that is more alike than not."""
    return next(iter(get_close_matches(str(name), list(names), n=1, cutoff=0.51)), None)


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """`" Did you mean beds?"`, or nothing where no right name is near."""
    close = nearest(name, names)
    return f" Did you mean {close}?" if close else ""


def refuse(*problems: tuple[KeyPath, str]) -> PydanticCustomError:
    """The error a validator raises: each problem with its path below the validated value (`()`: the value itself)."""
    return PydanticCustomError("refused", "{text}", {"text": "; ".join(t for _, t in problems), "problems": problems})


def shown(file: str | os.PathLike[str]) -> str:
    """A file as the user would name it: relative to the current folder where it lies below it."""
    path = Path(file).absolute()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(file)


# --------------------------------------------------------------------------------------------------- reading documents


class Marks(dict[KeyPath, int]):
    """The line of every key of a document; called with a path, the place of the nearest key that exists."""

    def __init__(self, file: str) -> None:
        """No lines yet."""
        super().__init__()
        self.file = file

    def __call__(self, path: KeyPath) -> Place:
        """File and line of a key, or of the innermost mapping or list around it."""
        while path and path not in self:
            path = path[:-1]
        return self.file, self.get(path)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core without tags, anchors and aliases: only true and false are booleans, dates and 07 stay text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        """Nothing read, nothing found yet."""
        super().__init__(text)
        self.depth = 0
        self.more_than_plain: list[tuple[int, str]] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose as always, and note everything that is more than plain data."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        for name, words in (("anchor", _ALIAS if isinstance(event, yaml.AliasEvent) else _ANCHOR), ("tag", _TAG)):
            if getattr(event, name, None) is not None:
                self.more_than_plain.append((event.start_mark.line + 1, words))
        if self.depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem="it is nested too deeply", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_TAG, _ANCHOR, _ALIAS = "A tag (!)", "An anchor (&)", "An alias (*)"

_NULL, _BOOL, _INT, _FLOAT, _STR = (f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str"))
_Loader.add_implicit_resolver(_NULL, re.compile(r"^(~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"^[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"),
    list("-+.0123456789"),
)


def read_yaml(path: str | os.PathLike[str], *, anchors: bool = False) -> tuple[dict[str, Any], Marks]:
    """A YAML document as plain data (dates stay text) and the line of every key; safe for files of strangers.

    `anchors` allows YAML's own references, which config files may use and scenario files, made for exchange, may not.
    """
    file = shown(path)
    return parse_yaml(_text(Path(path), file), file, anchors=anchors)


def parse_yaml(text: str, file: str, *, anchors: bool = False) -> tuple[dict[str, Any], Marks]:
    """The same for a text that is already in hand."""
    marks = Marks(file)
    root, problems = _composed(text, file, anchors)
    data = {} if root is None or root.tag == _NULL else _Reading(marks, problems).value(root, ())
    if not isinstance(data, dict):
        problems.append(Problem(file, 1, "", "The document must be made of `key: value` lines."))
    if problems:
        raise InputError(problems)
    return data, marks


def _composed(text: str, file: str, anchors: bool) -> tuple[yaml.Node | None, list[Problem]]:
    """The document as a tree, and what in it is more than plain data."""
    if problems := [*_tabs(text, file)]:
        return None, problems
    try:
        loader = _Loader(text)
        root: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        return None, [_syntax(error, file)]
    except yaml.YAMLError as error:
        return None, [Problem(file, None, "", f"This is not YAML: {str(error).splitlines()[0]}.")]
    told = "is not allowed; a document holds plain keys, texts and numbers."
    found = [(line, words) for line, words in loader.more_than_plain if words == _TAG or not anchors]
    problems = [Problem(file, line, "", f"{words} {told}") for line, words in found]
    return None if problems else root, problems


def _text(path: Path, file: str) -> str:
    """The text of a file, with the reason in plain words where it cannot be had."""

    def wrong(text: str) -> InputError:
        return InputError([Problem(file, None, "", text)])

    if not path.is_file():
        raise wrong("There is no such file." if not path.exists() else "This is not a file.")
    if path.stat().st_size > LARGEST_FILE:
        raise wrong(f"The file is larger than {LARGEST_FILE // 1_000_000} MB.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8, not as GBK or UTF-16"
        raise wrong(f"The file is not UTF-8 (byte {error.start + 1}); {hint}.") from None
    except OSError as error:
        raise wrong(f"The file cannot be read: {error.strerror}.") from None
    if "\0" in text:
        raise wrong(f"The file holds a NUL character in line {text[: text.index(chr(0))].count(chr(10)) + 1}.")
    return text


def _tabs(text: str, file: str) -> Iterator[Problem]:
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line[: len(line) - len(line.lstrip())]:
            column = line.index("\t") + 1
            yield Problem(file, number, "", f"A tab stands in column {column}; indent with spaces.")


def _syntax(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = f" (column {mark.column + 1})" if mark else ""
    return Problem(file, mark.line + 1 if mark else None, "", f"This is not YAML{where}: {error.problem}.")


@dataclass(frozen=True)
class _Reading:
    """Turns YAML nodes into plain data and writes down where each key stands."""

    marks: Marks
    problems: list[Problem]

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode):
            return dict(self.entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.item(child, (*path, str(i))) for i, child in enumerate(node.value)]
        return self.scalar(node, path)

    def item(self, node: yaml.Node, path: KeyPath) -> Any:
        self.marks[path] = node.start_mark.line + 1
        return self.value(node, path)

    def entries(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            below = (*path, str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?")
            if text := self.wrong_key(key_node, below):
                self.problems.append(Problem(self.marks.file, line, " > ".join(path), text))
                continue
            self.marks[below] = line
            yield below[-1], self.value(value_node, below)

    def wrong_key(self, node: yaml.Node, path: KeyPath) -> str:
        key = path[-1]
        if not isinstance(node, yaml.ScalarNode) or not key:
            return "A key must be one word."
        if path in self.marks:
            return f"{key} stands here and in line {self.marks[path]}; keep one of them."
        if path[0] != "defaults" and re.search(r"[\s.]", key):
            column = node.start_mark.column + 1
            return f"The key {key!r} (column {column}) holds a space or a dot; write it as one word, with _ or -."
        return ""

    def scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        text = str(node.value)
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return text == "true"
        if node.tag == _INT and len(text) < 100:
            return int(text)
        if node.tag in (_INT, _FLOAT):
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        return text


# --------------------------------------------------------------------------------------------------------- validation


def validate(cls: type[Model], data: Any, where: Locator) -> Model:
    """The object that plain data describe, or `InputError` with everything that is wrong with them."""
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise InputError(problems_of(error, cls, data, where)) from None


def problems_of(error: ValidationError, cls: type[Closed], data: Any, where: Locator) -> list[Problem]:
    """The problems that pydantic found, in plain words and at the place where the value was written."""
    found = []
    for detail in error.errors(include_url=False):
        for below, text in _told(detail, cls):
            path = (*_written(detail["loc"], data), *below)
            file, line = where(path)
            found.append(Problem(file, line, " > ".join(path), text))
    return found


def _written(loc: tuple[int | str, ...], data: Any) -> KeyPath:
    """Pydantic's location without the steps that exist only in the classes (branches of a union, `[key]`)."""
    path: KeyPath = ()
    for step in loc:
        if _has(data, step):
            path, data = (*path, str(step)), data[step]
    return path


def _has(data: Any, step: int | str) -> bool:
    return step in data if isinstance(data, Mapping) else isinstance(data, list) and step in range(len(data))


def _told(detail: ErrorDetails, cls: type[Closed]) -> list[tuple[KeyPath, str]]:
    """One error of pydantic as sentences, each with the path below the place where pydantic found it."""
    kind, found, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "refused":
        return list(context["problems"])
    if kind in ("extra_forbidden", "missing"):
        name, around = detail["loc"][-1], _around(cls, detail["loc"])
        names = _names(around)
        if kind == "extra_forbidden":
            return [((), f"No {around.noun} has this name.{did_you_mean(name, names)}")]
        misspelt = any(key not in names and nearest(key, names) == name for key in found)
        return [] if misspelt else [((), f"{name} is missing{_purpose(around, name)}.")]
    return [((), _sentence(kind, found, context, detail["msg"]))]


_WELCOME = {
    "int_type": "a whole number is welcome here",
    "int_parsing": "a whole number is welcome here",
    "int_from_float": "a whole number is welcome here",
    "float_type": "a number is welcome here",
    "finite_number": "a finite number is welcome here",
    "bool_type": "true or false is welcome here",
    "string_type": "text is welcome here (in quotes where it looks like a number)",
    "list_type": "a list is welcome here",
    "tuple_type": "a list is welcome here",
    "dict_type": "`key: value` lines are welcome here",
    "model_type": "`key: value` lines are welcome here",
    "model_attributes_type": "`key: value` lines are welcome here",
    "none_required": "nothing is welcome here",
}
_LIMITS = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


def _sentence(kind: str, found: Any, context: Mapping[str, Any], message: str) -> str:
    if kind in _WELCOME:
        return f"{quoted(found)}; {_WELCOME[kind]}."
    if kind in _LIMITS:
        limit, words = _LIMITS[kind]
        return f"{found} was found; it {words} {context[limit]:g}."
    if kind == "union_tag_invalid":
        names = re.findall(r"'([^']*)'", str(context["expected_tags"]))
        hint = did_you_mean(context["tag"], names)
        return f"{context['tag']!r} is no kind of this; welcome are {', '.join(names)}.{hint}"
    if kind == "string_pattern_mismatch":
        return f"{found!r} was found, which cannot stand here; welcome is what fits {context['pattern']}"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"{quoted(found)}; welcome are {context['expected']}.{did_you_mean(found, names)}"
    if kind in ("too_short", "too_long"):
        few, bound = (" at least", "min_length") if kind == "too_short" else (" at most", "max_length")
        return f"{context['actual_length']} entries were found;{few} {context[bound]} are welcome here."
    return message.removeprefix("Value error, ")


def quoted(found: Any) -> str:
    """What was found, in words: `true is yes-or-no`, `'abc' is text`."""
    if found is None:
        return "Nothing was found"
    if isinstance(found, bool):
        return f"{str(found).lower()} is a yes or no"
    if isinstance(found, str):
        return f"{found!r} is text"
    if isinstance(found, (list, dict)):
        return "A list was found" if isinstance(found, list) else "`key: value` lines were found"
    return f"{found} is a number"


def _around(cls: type[Closed], loc: tuple[int | str, ...]) -> type[Closed]:
    """The class whose entry the last step of a location is."""
    kind: Any = cls
    for step in loc[:-1]:
        kind = _inside(kind, step)
    return kind if isinstance(kind, type) and issubclass(kind, Closed) else Closed


def _inside(kind: Any, step: int | str) -> Any:
    """The type found one step below a type; below several that are told apart by a tag, the one with this tag."""
    if get_origin(kind) in (Union, types.UnionType):
        return next((_bare(part) for part in get_args(kind) if Tag(str(step)) in get_args(part)[1:]), None)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if step in (name, field.alias):
                return _bare(field.annotation)
        return None
    if get_origin(kind) in (dict, list):
        return _bare(get_args(kind)[-1])
    return kind


def _bare(kind: Any) -> Any:
    """A type without its annotations and without `| None`."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        parts = [arg for arg in get_args(kind) if arg is not type(None)]
        return kind if get_origin(parts[0]) is Annotated and Tag in map(type, get_args(parts[0])) else _bare(parts[0])
    return kind


def _names(cls: type[Closed]) -> list[str]:
    return [field.alias or name for name, field in cls.model_fields.items()]


def _purpose(cls: type[Closed], name: object) -> str:
    """What a missing value would have said, from the docstring under the attribute."""
    texts = (field.description for key, field in cls.model_fields.items() if name in (key, field.alias))
    text = " ".join((next(texts, None) or "").split()).rstrip(".")
    return f": {text[0].lower()}{text[1:]}" if text else ""


# -------------------------------------------------------------------------------------------------------------- types


def _as_day(found: Any) -> date:
    if isinstance(found, date) and not isinstance(found, datetime):
        return found
    written = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", found) if isinstance(found, str) else None
    if not written:
        raise refuse(((), f"{found} is not a date; a date is written 2024-06-30."))
    year, month, day = map(int, written.groups())
    if not (year and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise refuse(((), f"{found} is not in the calendar; a date is written year-month-day, as 2024-06-30."))
    return date(year, month, day)


_FRACTION = re.compile(r"([0-9]{1,9})/([1-9][0-9]{0,8})|([0-9]+(?:\.[0-9]+)?) ?%|([01])")


def as_share(found: Any) -> Fraction:
    """A share from 0 to 1, exactly: 0.25, "1/3" or "33 %"."""
    share = _exact(found)
    if share < 0:
        raise refuse(((), f"{found} is less than 0; a share lies between 0 and 1."))
    if share > 1:
        percent = share <= 100 and not isinstance(found, str)
        hint = f"a share is written {_hundredth(share)}" if percent else "a share lies between 0 and 1"
        raise refuse(((), f"{found} is more than 1; {hint}."))
    return share


def _exact(found: Any) -> Fraction:
    if isinstance(found, Fraction):
        return found
    if isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found):
        return Fraction(repr(found))
    written = _FRACTION.fullmatch(found) if isinstance(found, str) else None
    if not written:
        raise refuse(((), f"{quoted(found)}; a share is written 0.25, 1/4 or 25 %."))
    over, under, percent, whole = written.groups()
    if whole:  # how a share of none or all is written down
        return Fraction(whole)
    return Fraction(percent) / 100 if percent else Fraction(int(over), int(under))


def _hundredth(share: Fraction) -> str:
    text = f"{float(share / 100):.6f}".rstrip("0")
    return text if len(text) >= 4 else text.ljust(4, "0")


def _as_name(found: Any) -> str:
    if not isinstance(found, str):
        raise refuse(((), f"{quoted(found)}; a name is welcome here."))
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", found):
        raise refuse(((), f"{found!r} is not a name; a name has 1 to 64 of the characters a-z 0-9 _ -."))
    return found


Day = Annotated[date, BeforeValidator(_as_day), PlainSerializer(date.isoformat, return_type=str, when_used="json")]
"""A calendar date, written 2024-06-30."""

Share = Annotated[Fraction, PlainValidator(as_share), PlainSerializer(str, return_type=str, when_used="json")]
"""A share from 0 to 1, exact: 0.25, 1/3 or 33 %."""

Chance = Annotated[float, BeforeValidator(lambda found: float(as_share(found)))]
"""A share from 0 to 1 that decides luck, written like `Share` and kept as a plain number."""

Name = Annotated[str, BeforeValidator(_as_name)]
"""A name fit for paths: 1 to 64 of the characters a-z 0-9 _ -."""
