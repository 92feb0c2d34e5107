// Cuts a text for import into pieces that the server takes one after the other.

export interface TextPiece {
  text: string;
  firstLine: number; // of the whole text, from 1
}

/** Whether the text is a file of another program, which has to stay whole: JSON, or CSV with a header. */
export function isFile(text: string): boolean {
  const head = text.slice(0, 4096).replace(/^\uFEFF/, "").trimStart();
  const first = (head.split("\n", 1)[0] ?? "").toLowerCase();
  return /^[[{]/.test(head) || /(^|[,;\t])"?key"?([,;\t\r]|$)/.test(first) && /[,;\t]/.test(first);
}

/** Pieces of at most `lines` lines and `chars` characters, cut at line ends. */
export function cut(text: string, lines: number, chars: number): TextPiece[] {
  if (isFile(text)) return [{ text, firstLine: 1 }];
  const pieces: TextPiece[] = [];
  let start = 0;
  let line = 1;
  while (start < text.length) {
    let end = start;
    let n = 0;
    while (end < text.length && n < lines) {
      const next = text.indexOf("\n", end);
      const lineEnd = next < 0 ? text.length : next + 1;
      if (n > 0 && lineEnd - start > chars) break;
      end = lineEnd;
      n++;
    }
    pieces.push({ text: text.slice(start, end), firstLine: line });
    start = end;
    line += n;
  }
  return pieces;
}

/** Whether a line is one that the import skips. */
export function isBlank(line: string): boolean {
  const t = line.trim();
  return t === "" || t.startsWith("#");
}

/** Lines that hold something, without making a list of them. */
export function countLines(text: string): number {
  let count = 0;
  let start = 0;
  while (start < text.length) {
    const next = text.indexOf("\n", start);
    const end = next < 0 ? text.length : next;
    if (!isBlank(text.slice(start, Math.min(end, start + 200)))) count++;
    start = end + 1;
  }
  return count;
}

/** The text without the lines named. */
export function without(text: string, lines: ReadonlySet<number>): string {
  if (lines.size === 0) return text;
  return text
    .split("\n")
    .map((line, i) => (lines.has(i + 1) ? "" : line))
    .join("\n");
}
