"""Parts: every YAML mapping is one frozen object; members of a family are told apart by ``kind``."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

PLACE = "x-family"
"""Key of a family's place in a JSON Schema, until its members are put there."""


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Say what is allowed, the nearest name first."""
    names = sorted(str(a) for a in allowed)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return f"{hint} allowed: {', '.join(names) if names else 'nothing'}"


def wrong(message: str) -> PydanticCustomError:
    """Make the error that a validator raises; ``message`` says what is wrong and what is allowed."""
    return PydanticCustomError("input", "{message}", {"message": message})


class Part(BaseModel):
    """A frozen piece of the input; an unknown key is an error that names the allowed ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        allowed = {field.alias or name for name, field in cls.model_fields.items()}
        unknown = [key for key in value if key not in allowed]
        if unknown:
            raise wrong("; ".join(f"unknown key '{key}':{suggest(str(key), allowed)}" for key in unknown))
        return value


class Family(Part):
    """Base of the parts that are told apart by ``kind``.

    A direct subclass is a family and names the package (``home``) whose modules hold its members;
    a member gives its ``kind`` as a ``Literal`` with that default. ``kind: module:Class`` in YAML
    takes the user's own member from an importable module.
    """

    home: ClassVar[str] = ""
    members: ClassVar[dict[str, type["Family"]]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register a member under its kind, or start a new family."""
        super().__pydantic_init_subclass__(**kwargs)
        if Family in cls.__bases__:
            cls.members = {}
        elif "kind" in cls.model_fields and isinstance(cls.model_fields["kind"].default, str):
            cls.members[cls.model_fields["kind"].default] = cls

    @classmethod
    def kinds(cls) -> dict[str, type["Family"]]:
        """Every known member of this family by its kind, its home imported first."""
        if cls.home:
            package = importlib.import_module(cls.home)
            for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
                importlib.import_module(f"{cls.home}.{module.name}")
        return cls.members

    @classmethod
    def infer_kind(cls, value: Mapping[str, Any]) -> str:
        """Say which member an untagged mapping means; a family may allow shorter forms."""
        if "kind" not in value:
            raise wrong(f"'kind' is missing:{suggest('', cls.kinds())}")
        return str(value["kind"])

    @classmethod
    def member(cls, kind: str) -> type["Family"]:
        """Return the class of ``kind`` or raise the error that lists the allowed kinds."""
        if ":" in kind:
            return cls._own_member(kind)
        known = cls.kinds()
        if kind not in known:
            raise wrong(f"unknown kind '{kind}':{suggest(kind, known)}")
        return known[kind]

    @classmethod
    def _own_member(cls, kind: str) -> type["Family"]:
        module, _, name = kind.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise wrong(f"cannot import '{kind}': {error}") from error
        if not (isinstance(found, type) and issubclass(found, cls)):
            raise wrong(f"'{kind}' is not a subclass of {cls.__module__}.{cls.__name__}")
        return found

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Hold a family's place: its members are not all known while it is described."""
        if Family not in cls.__bases__:
            return handler(core_schema)
        return {PLACE: place(cls), "description": inspect.getdoc(cls)}

    @model_validator(mode="wrap")
    @classmethod
    def _dispatch(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if Family not in cls.__bases__ or isinstance(value, cls):
            return handler(value)
        if not isinstance(value, Mapping):
            raise wrong(f"expected a mapping with 'kind', got {value!r}:{suggest('', cls.kinds())}")
        kind = cls.infer_kind(value)
        body = {key: item for key, item in value.items() if key != "kind"} if ":" in kind else value
        return cls.member(kind).model_validate(body)  # type: ignore[return-value]


def place(family: type[Family]) -> str:
    """Name a family's place in a JSON Schema."""
    return f"{family.__module__}.{family.__qualname__}"
