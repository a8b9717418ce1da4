"""
docs/add-a-backend.md, followed to the letter in an empty folder: commands are run, code goes into the files that the sentence
before it names, and what the document says is printed is compared. Only "…" stands for something else: within a line for any
text, alone on a line for any lines.
"""
import re
import shlex
import sys

from kit_lib import Kit

kit = Kit("how_to")
SENTENCE = re.compile(r"(Put this into|Append this to|Change|From) `([^`]+)`")


def blocks(text):
    """Each fenced block: its language, its lines, the paragraph before it, and where it begins."""
    language, body, paragraph, begin, ended = None, [], [], 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if language is None and line.startswith("```"):
            language, body, begin = line[3:].strip(), [], number
        elif language is not None and line.startswith("```"):
            yield language, body, " ".join(paragraph), begin
            language, paragraph = None, []
        elif language is not None:
            body.append(line)
        elif line.strip():
            paragraph = [line.strip()] if ended else paragraph + [line.strip()]
            ended = False
        else:
            ended = True
    if language is not None:
        sys.exit(f"FAILED: the block at line {begin} does not end")


def pattern(lines):
    """The regular expression of what a text block says is printed."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(".*?".join(re.escape(piece) for piece in line.rstrip().split("…")) + r"[ \t]*\n")
    return re.compile("".join(parts))


def run_commands(lines, begin):
    """In a shell whose folder and variables are those that the block before left. Returns what it printed, in order."""
    state = shlex.quote(str(kit.folder / ".state"))
    script = "\n".join(["set -eu", "set -a", f"if [ -f {state} ]; then . {state}; fi", *lines, f"export -p > {state}",
                        f"echo cd \"$(printf %q \"$PWD\")\" >> {state}"])
    print(f"+ line {begin}:", *lines, sep="\n  ", flush=True)
    done = kit.capture(["bash", "-c", script])
    print(done.stdout, flush=True)
    if not kit.check(done.returncode == 0, f"the commands at line {begin} give exit code {done.returncode}"):
        kit.end()
    return done.stdout


def change(path, lines, begin):
    """Applies a block of " ", "-" and "+" lines: what is old must be there exactly once."""
    text = path.read_text()
    old = "".join(line[1:] + "\n" for line in lines if line[:1] in (" ", "-", ""))
    new = "".join(line[1:] + "\n" for line in lines if line[:1] in (" ", "+", ""))
    if not kit.check(("\n" + text).count("\n" + old) == 1, f"the change at line {begin} fits {path.name} in one place"):
        kit.end()
    path.write_text(("\n" + text).replace("\n" + old, "\n" + new, 1)[1:])


def write(language, lines, paragraph, begin):
    found = SENTENCE.findall(paragraph)
    if not kit.check(found, f"the {language} block at line {begin} says what it is for"):
        kit.end()
    how, path = found[-1][0], kit.folder / found[-1][1]
    text = "".join(line + "\n" for line in lines)
    if how == "Put this into":
        path.write_text(text)
    elif how == "Append this to":
        path.write_text(path.read_text() + "\n" + text)
    elif how == "From":
        kit.check(text in path.read_text(), f"the block at line {begin} stands in {path.name} as it is")
    else:
        change(path, lines, begin)


def follow(document):
    printed, count = None, {}
    for language, lines, paragraph, begin in blocks(document.read_text()):
        count[language] = count.get(language, 0) + 1
        if language == "sh":
            printed = run_commands(lines, begin)
        elif language == "text":
            if kit.check(printed is not None, f"the text at line {begin} follows commands"):
                kit.check(pattern(lines).search(printed), f"what is printed is what line {begin} says:\n" + "\n".join(lines))
            printed = None
        elif language in ("c", "diff", "cmake"):
            write(language, lines, paragraph, begin)
        else:
            kit.check(False, f"the block at line {begin} has the language \"{language}\", which nobody follows")
    return count


kit.environment["PREFIX"] = str(kit.prefix)
kit.environment["PATH"] = f"{kit.prefix / 'bin'}:{kit.environment['PATH']}"
kit.environment["PROTEINS"] = str(kit.source / "tests/data/proteins.fasta")
installed = kit.libdir / "plmscale/backends/mine.so"
followed = follow(kit.source / "docs/add-a-backend.md")
kit.check(installed.is_file(), "what the reader installed is where it is said to be")
installed.unlink(missing_ok=True)
print("followed:", ", ".join(f"{count} {language}" for language, count in sorted(followed.items())))
kit.check(followed.get("sh", 0) >= 10 and followed.get("text", 0) >= 8, "there was something to follow")
kit.end()
