"""What the report shows where it lies there, but what is never made for the report."""

from pathlib import Path

from visemix.run.atomic import sha256_bytes, sha256_file

AUDITS, BETA, GENERATORS = Path("audits"), Path("tables/beta"), Path("tables/generators.csv")


def audit_files() -> list[Path]:
    """audits/<cell id>.json of all audited cells; what an audit works on, audits/work, is none."""
    work = AUDITS / "work"
    return [path for path in sorted(AUDITS.rglob("*.json")) if work not in path.parents]


def shown_digest() -> str:
    """sha256 over the audits and the tables of generators and of the beta axis.

    A parameter of rule `report`, so that it is re-run when they change, without asking for
    them; '' without any of them.
    """
    generators = [GENERATORS] if GENERATORS.is_file() else []
    files = [*generators, *sorted(BETA.glob("*.csv")), *audit_files()]
    digests = "".join(f"{path} {sha256_file(path)}\n" for path in files)
    return sha256_bytes(digests.encode()) if files else ""
