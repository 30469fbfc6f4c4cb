"""The page of the beta axis, from tables/beta."""

import pandas as pd

from visemix.evaluation.statistics import verdict
from visemix.report.site import HOME, Site, add_file, write_page
from visemix.tables.beta_curve import CONTROLS, verdicts
from visemix.tables.shown import BETA


def page_facts() -> dict | None:
    """For templates/beta.html, or None before `snakemake beta_curve` was run.

    `pictures` are (name, path) pairs of the figures under tables/beta.
    """
    if not (BETA / "verdicts.csv").is_file():
        return None
    curve = pd.read_csv(BETA / "curve.csv", keep_default_na=False, dtype={"repeats": str})
    differences = pd.read_csv(BETA / "verdicts.csv", dtype={"repeats": str})
    if "verdict" not in differences:  # made by older code
        facts = zip(differences.difference, differences.p_holm, differences.seeds, strict=True)
        differences["verdict"] = [verdict(*one) for one in facts]
    pictures = [BETA / "curve.png", BETA / "verdicts.png"]
    if (BETA / "samplings.csv").is_file():
        pictures += sorted(BETA.glob("samplings-*.png"))
    return {
        "curve": curve.to_dict("records"),
        "differences": differences.to_dict("records"),
        "verdicts": verdicts(differences),
        "fits": pd.read_csv(BETA / "fits.csv").to_dict("records"),
        "controls": CONTROLS,
        "pictures": [(path.name, path) for path in pictures],
    }


def write_page_of_axis(site: Site, facts: dict) -> None:
    """Write beta.html. facts: of `page_facts`."""
    pictures = [(name, add_file(site, path, "pictures")) for name, path in facts["pictures"]]
    title = "The beta axis: how much synthetic video, against the real clips alone?"
    write_page(site, "beta.html", "beta.html", title, [HOME], **facts | {"pictures": pictures})
