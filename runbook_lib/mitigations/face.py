"""How a plan looks: readable at 3 a.m."""

from html import escape
from typing import TYPE_CHECKING

from runbook_lib.text import clean, clean_lines
from runbook_lib.text import command as text_command
from runbook_lib.window import now, spoken

if TYPE_CHECKING:
    from runbook_lib.mitigations.plan import Plan

ROOM = 4000
PRE = "white-space:pre-wrap;background:#f6f8fa;color:#1f2328;padding:8px;margin:2px 0"
BAD = "color:#cf222e;font-weight:bold"


def command(verb: str, plan: "Plan") -> str:
    """`runbook approve INC PLAN ...` as one can paste it."""
    return text_command(verb, plan.incident, plan.id, archive=plan.archive)


def _valid(plan: "Plan") -> str:
    left = (plan.expires_at - now()).total_seconds()
    until = f"until {plan.expires_at:%H:%M:%S} UTC"
    return f"{until} ({spoken(left)} left)" if left > 0 else f"expired: it was valid {until}"


def _lines(plan: "Plan") -> list[tuple[str, str]]:
    target = plan.target
    return [
        ("Because", plan.why),
        ("On", f"{plan.source} at {target.address} ({target.identity}, {target.instance})"),
        ("Now", plan.present),
        ("Touches", plan.blast_radius),
        ("Expected", plan.expected),
        ("Dry run", plan.dry_run),
        ("Then asked again", ", ".join(plan.checks) + f"; must get well: {', '.join(plan.symptoms)}"),
        ("Valid", _valid(plan)),
    ]


def _undo(plan: "Plan") -> str:
    return plan.undo if isinstance(plan.undo, str) else "\n".join(plan.undo)


def text(plan: "Plan") -> str:
    """The plan for a terminal."""
    lines = [f"Plan {plan.id}: {clean(plan.title, ROOM)}"]
    lines += [f"  {name}: {clean(said, ROOM)}" for name, said in _lines(plan)]
    lines += [f"  Permission {'held' if p.held else 'MISSING'}: {clean(p.what, ROOM)}" for p in plan.permissions]
    lines += ["  Calls:", *(f"    {line}" for call in plan.calls for line in _whole(call))]
    lines += ["  Undo:", *(f"    {line}" for line in _whole(_undo(plan)))]
    return "\n".join([*lines, f"  To approve: {command('approve', plan)}"])


def _whole(calls: str) -> list[str]:
    """Whoever approves has to see all of it, and nothing that repaints the terminal."""
    return clean_lines(calls, len(calls) + 1).splitlines()


def html(plan: "Plan") -> str:
    """The same for a notebook."""
    rows = [(name, escape(said)) for name, said in _lines(plan)]
    held = [
        f"<span style='{'' if p.held else BAD}'>{'held' if p.held else 'MISSING'}: {escape(p.what)}</span>"
        for p in plan.permissions
    ]
    rows.append(("Permissions", "<br>".join(held)))
    rows.append(("Exactly", f"<pre style='{PRE}'>{escape(chr(10).join(plan.calls))}</pre>"))
    rows.append(("Undo", f"<pre style='{PRE}'>{escape(_undo(plan))}</pre>"))
    rows.append(("To approve", f"<pre style='{PRE}'>{escape(command('approve', plan))}</pre>"))
    style = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"
    cells = "".join(f"<tr><th style='{style}'>{name}</th><td style='{style}'>{said}</td></tr>" for name, said in rows)
    head = f"<h3>Plan {escape(plan.id)}: {escape(plan.title)}</h3>"
    return (
        f"<div style='border:2px solid #0969da;padding:4px 14px;border-radius:6px'>{head}<table>{cells}</table></div>"
    )
