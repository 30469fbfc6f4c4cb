"""A table of a paper as Markdown: published and measured values, and how sure they are."""

import pandas as pd


def to_markdown(frame: pd.DataFrame, caption: str, notes: list[dict]) -> str:
    """Markdown of a table for people: values with n, interval and p, controls below."""
    head = "| row | published | here [95% interval] | n | against the row above | status |"
    lines = [f"### {caption}", "", head, "|---|---|---|---|---|---|"]
    for row in frame.itertuples():
        here = f"{row.accuracy:.1f} [{row.low:.1f}, {row.high:.1f}]" if row.n else ""
        if row.n:
            here += f", over speakers [{row.cluster_low:.1f}, {row.cluster_high:.1f}]"
        if row.n and row.seeds > 1:
            here += f", and seeds [{row.over_seeds_low:.1f}, {row.over_seeds_high:.1f}]"
            here += f", sd {row.sd:.1f} over {row.seeds} seeds"
        against = _against(row) if row.above else ""
        name = f"{row.row} (changed: {row.changed})" if row.changed else row.row
        if row.other_reading_of:
            name += f" (our other reading of {row.other_reading_of}, not a cell of the paper;"
            name += f" compared with {row.above})"
        status = f"{row.status}, {kind(row.departures)}" if row.n else row.status
        lines.append(f"| {name} | {row.published} | {here} | {row.n} | {against} | {status} |")
    lines.append("")
    for note in notes:
        interval = f" [{note['low']:.1f}, {note['high']:.1f}]" if "low" in note else ""
        lines.append(f"* {note['name']}: {note['accuracy']:.1f}{interval}, n = {note['n']}")
    lines += [f"* No reproduction: {text} ({rows})" for text, rows in departing_rows(frame)]
    lines += _notes_on_numbers(frame)
    return "\n".join(lines).strip() + "\n"


def kind(departures: str) -> str:
    """Whether a measured value is a reproduction, by its column departures."""
    return "no reproduction" if departures else "a reproduction"


def departing_rows(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """(departures, runs) of the measured rows that are no reproductions, without repeats."""
    rows = frame[(frame.n.astype(str) != "") & (frame.departures != "")]
    runs = rows.groupby("departures", sort=False).run.unique()
    return [(text, ", ".join(names)) for text, names in runs.items()]


def _against(row) -> str:
    """A row's difference from the one above, and whether it is resolved."""
    interval = f"[{row.difference_low:+.1f}, {row.difference_high:+.1f}]"
    text = f"{row.difference:+.1f} {interval}, p (Holm) = {row.p_holm:.2g}: {row.verdict}"
    if row.seeds == 1:
        return f"{text}, and another seed may turn it"
    return f"{text}; first seeds, McNemar p = {row.p_mcnemar:.2g}"


def _notes_on_numbers(frame: pd.DataFrame) -> list[str]:
    """What the intervals of a table allow for, and what its test set could show."""
    measured, compared = frame[frame.n != ""], frame[frame.above != ""]
    lines = []
    if len(measured):
        clusters = f"{measured.clusters.iloc[0]} clusters by {measured.clustered_by.iloc[0]}"
        text = f"Wilson over clips; bootstrap of the mean over seeds over speakers ({clusters})"
        if measured.seeds.iloc[0] > 1:
            text += "; speakers and seeds as crossed random effects"
        lines.append(f"* Intervals: {text}")
        lines.append(f"* {trainings_note(frame)}")
    if len(compared):
        text = f"between two given trainings {_range(compared.detectable)}"
        if compared.seeds.iloc[0] > 1:
            text += f", between rows whatever their seeds {_range(compared.detectable_over_seeds)}"
        lines.append(f"* Smallest difference that this test set shows with 80% power: {text}")
        lines.append(
            f"* p (Holm) is corrected for the {len(compared)} comparisons of this table and what "
            "the report's front page asks besides"
        )
    return lines


def trainings_note(frame: pd.DataFrame) -> str:
    """How long the rows of a table trained: equal updates or epochs, and the epochs of each row.

    frame: columns of tables.results.COLUMNS, values as numbers or as text; "" where nothing is
    measured.
    """
    rows = frame[frame.n.astype(str) != ""]
    if rows.empty:
        return ""
    chosen = set(rows.equal) - {"both"} or {"updates"}
    how = " and ".join(f"equal {name}" for name in sorted(chosen))
    seen = rows.assign(epochs=[f"{float(n):.1f}" for n in rows.epochs])
    each = ", ".join(f"{row.run} {row.epochs}" for row in seen.drop_duplicates("run").itertuples())
    return f"Trained with {how}; epochs of its own mixture that each run saw: {each}"


def _range(points: pd.Series) -> str:
    points = points.astype(float)
    return "none" if points.isna().all() else f"{points.min():.1f} to {points.max():.1f} points"
