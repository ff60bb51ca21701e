"""Reads single values of XMP packets (ISO 16684-1), in every spelling that XML and RDF allow.

A property is an attribute or an element; its prefix, quotes, white space, character references and
the packet's encoding are free. So an XML parser reads it. It is stopped at the first declaration of
an entity, which XMP has no use for and which small files use to grow large.
"""

from dataclasses import dataclass, field
from xml.parsers.expat import ExpatError, ParserCreate

_MAX_PACKET_BYTES = 1_000_000


class _EntityDeclaredError(Exception):
    pass


@dataclass(slots=True)
class _Search:
    namespace: str
    usual_prefix: str
    name: str
    prefixes: set[str] = field(default_factory=set)
    """Prefixes that are bound to the namespace, with their colon; "" for the default namespace."""
    found: str | None = None
    text: str | None = None
    """The content of the wanted element so far; None outside of one."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        for attribute, value in attributes.items():
            if attribute.startswith("xmlns:") and value == self.namespace:
                self.prefixes.add(attribute.removeprefix("xmlns:") + ":")
            elif attribute == "xmlns" and value == self.namespace:
                self.prefixes.add("")
        for attribute, value in attributes.items():
            if ":" in attribute and self._is_wanted(attribute):
                self.found = self.found or value.strip()
        if self._is_wanted(name):
            self.text = ""

    def end(self, name: str) -> None:
        if self.text is not None and self._is_wanted(name):
            self.found, self.text = self.found or self.text.strip(), None

    def characters(self, text: str) -> None:
        if self.text is not None:
            self.text += text

    def _is_wanted(self, name: str) -> bool:
        prefix = name.removesuffix(self.name)
        # A packet cut out of its document may lack the binding.
        return prefix != name and prefix in (self.prefixes or {self.usual_prefix + ":"})


def read_xmp_value(packet: bytes, namespace: str, usual_prefix: str, name: str) -> str | None:
    """The text of the first property of this name, None if there is none.

    The part of a damaged packet before the damage counts.
    """
    packet = packet[:_MAX_PACKET_BYTES]
    if name.encode() not in packet.replace(b"\0", b""):  # in UTF-8, UTF-16 or UTF-32
        return None
    search = _Search(namespace, usual_prefix, name)
    text, encoding = _in_single_bytes(packet)
    parser = ParserCreate(encoding)
    parser.StartElementHandler = search.start
    parser.EndElementHandler = search.end
    parser.CharacterDataHandler = search.characters
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(text, True)
    except (ExpatError, _EntityDeclaredError):
        return search.found
    return search.found


def _in_single_bytes(packet: bytes) -> tuple[bytes, str | None]:
    """The packet from its first tag on, and its encoding unless the packet itself states it.

    Without the zeros of UTF-16 or UTF-32 every ASCII character is left, and no other matters here.
    """
    if b"\0" not in packet:
        return packet.strip(), None
    characters = packet.replace(b"\0", b"")
    return characters[characters.find(b"<") :], "iso-8859-1"


def _refuse_entity(*_: object) -> None:
    raise _EntityDeclaredError
