"""Turns the results of all rounds into one table."""
import statistics

from measures import AT_MOST, DIFFERENCE, NONE, RATIO

REFERENCE = "nginx"


def median_range(values, digits):
    if not values:
        return "–"
    text = f"{statistics.median(values):,.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):,.{digits}f}–{max(values):,.{digits}f})"
    return text


class Table:
    """Values by measure, contender and round; a round that is void has None."""

    def __init__(self, contenders):
        self.contenders = contenders
        self.values = {}
        self.measures = {}  # key: (slice, measure), in the order in which they came
        self.faults = []

    def add(self, slice_, round_, contender, result, direct):
        for m in slice_.measures:
            self.measures.setdefault(m.key, (slice_, m))
            value = None
            if result is not None and (direct is not None or not slice_.direct):
                value = m.value(result, direct)
            self.values[m.key, contender, round_] = value

    def fault(self, slice_, round_, contender, text):
        self.faults.append(f"{slice_.key}, round {round_ + 1}, {contender}: {text}")

    def of(self, key, contender):
        return {r: v for (k, c, r), v in self.values.items()
                if k == key and c == contender and v is not None}

    def ratios(self, key, contender):
        """Of the rounds in which both were measured. A reference of nothing has no ratio."""
        mine, theirs = self.of(key, contender), self.of(key, REFERENCE)
        return [mine[r] / theirs[r] for r in mine if theirs.get(r, 0) > 0]

    def differences(self, key, contender):
        mine, theirs = self.of(key, contender), self.of(key, REFERENCE)
        return [mine[r] - theirs[r] for r in mine if r in theirs]

    def void(self, key, contender):
        return any(v is None for (k, c, _), v in self.values.items()
                   if k == key and c == contender)

    def goal(self, measure, contender="ours"):
        """The goal in words, and whether it is met: True, False, or None without figures."""
        key, limit = measure.key, measure.limit
        if measure.goal == NONE:
            return "", None
        if measure.goal == RATIO:
            text = f"≤ {limit:g} of {REFERENCE}" if limit != 1 else f"≤ {REFERENCE}"
            figures = self.ratios(key, contender)
            if not figures and self.differences(key, contender):
                figures, limit = self.differences(key, contender), 0
        elif measure.goal == DIFFERENCE:
            text = f"≤ {limit:g} {measure.unit} above {REFERENCE}"
            figures = self.differences(key, contender)
        else:
            assert measure.goal == AT_MOST
            text = f"≤ {limit:g} {measure.unit}"
            figures = list(self.of(key, contender).values())
        if not figures or self.void(key, contender):
            return text, None
        return text, statistics.median(figures) <= limit

    def rows(self):
        others = [c for c in self.contenders if c != REFERENCE]
        with_ratio = others if REFERENCE in self.contenders else []
        yield (["measure", "goal", ""] + [f"{c} / {REFERENCE}" for c in with_ratio] +
               [f"{c}" for c in self.contenders])
        title = None
        for key, (slice_, m) in self.measures.items():
            if slice_.title != title:
                title = slice_.title
                yield [f"**{title}**"] + [""] * (2 + len(with_ratio) + len(self.contenders))
            text, met = self.goal(m)
            row = [f"{m.title}, {m.unit}", text, {True: "met", False: "MISSED", None: ""}[met]]
            row += [median_range(self.ratios(key, c), 2) for c in with_ratio]
            for c in self.contenders:
                values = list(self.of(key, c).values())
                row.append(median_range(values, m.digits) + (" VOID" if self.void(key, c) else ""))
            yield row

    def markdown(self):
        return markdown(list(self.rows()))

    def missed(self):
        return [key for key, (_, m) in self.measures.items() if self.goal(m)[1] is False]


def markdown(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |"
             for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)
