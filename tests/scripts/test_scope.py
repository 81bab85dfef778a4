"""docs/scope.md says what the code says; `scripts/docs` makes it again."""

from pathlib import Path

from tests.scripts.loading import script

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "scope.py"
scope = script("scope.py")


def test_the_page_is_what_the_code_says():
    said = scope.PAGE.read_text().splitlines()
    assert said == scope.page().splitlines(), "run `.venv/bin/python scripts/scope.py --write`"


def test_what_goes_from_the_code_is_missing_on_the_page(monkeypatch):
    """A plugin of admission, one of the scheduler, a controller, a kind, a volume."""
    before = scope.page()
    plugins = scope.order.plugins()
    monkeypatch.setattr(scope.order, "plugins", lambda: plugins[1:])
    monkeypatch.setattr(scope, "SCHEDULER_PARTS", {})
    monkeypatch.setattr(scope, "controllers_by_name", dict)
    found = [one for one in scope.resources() if one.kind != "ConfigMap"]
    monkeypatch.setattr(scope, "resources", lambda: found)
    new = [line for line in scope.page().splitlines() if line not in before.splitlines()]
    missing = "\n".join(line for line in new if "Not there yet" in line or "Not served" in line)
    for name in ("NamespaceLifecycle", "DefaultBinder", "deployment-controller", "v1 ConfigMap"):
        assert name in missing
