"""Writes engine/Tokenizers/decompositions.txt: the full canonical decomposition (NFD) of every code point that has one, Hangul syllables apart (they follow by arithmetic)."""
import pathlib
import unicodedata

target = pathlib.Path(__file__).resolve().parents[2] / "engine" / "Tokenizers" / "decompositions.txt"
lines = [f"# Unicode {unicodedata.unidata_version}: code point, then its canonical decomposition, in hexadecimal"]
for code in range(0x110000):
    if 0xAC00 <= code <= 0xD7A3 or 0xD800 <= code <= 0xDFFF:
        continue
    whole = unicodedata.normalize("NFD", chr(code))
    if whole != chr(code):
        lines.append(" ".join(f"{ord(c):X}" for c in chr(code) + whole))
target.write_text("\n".join(lines) + "\n", encoding="ascii")
