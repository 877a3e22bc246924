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

target = target.with_name("compositions.txt")
lines = [f"# Unicode {unicodedata.unidata_version}: 'class number codes' lists the code points of a canonical combining class; 'first second composed' is a primary composite (NFC), in hexadecimal"]
classes = {}
for code in range(0x110000):
    if unicodedata.combining(chr(code)):
        classes.setdefault(unicodedata.combining(chr(code)), []).append(code)
lines += [f"class {number} " + " ".join(f"{code:X}" for code in codes) for number, codes in sorted(classes.items())]
for code in range(0x110000):
    parts = unicodedata.decomposition(chr(code)).split()
    if len(parts) == 2 and not parts[0].startswith("<") and unicodedata.normalize("NFC", chr(code)) == chr(code):
        lines.append(f"{parts[0].lstrip('0')} {parts[1].lstrip('0')} {code:X}")
target.write_text("\n".join(lines) + "\n", encoding="ascii")
