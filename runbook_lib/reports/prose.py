"""What happened, in sentences made of what is on the timeline."""

from runbook_lib.archive.timeline import Event
from runbook_lib.model import Json
from runbook_lib.reports.fate import fate
from runbook_lib.reports.story import LOUD, Story
from runbook_lib.text import clean
from runbook_lib.window import spoken


def summary(story: Story) -> str:
    """One paragraph: what broke, when, how it was found, what was done, whether it helped."""
    return " ".join(filter(None, (_began(story), _found(story), _seen(story), _done(story), _ended(story))))


def _began(story: Story) -> str:
    if story.declared is None:
        return f"Incident {story.incident.id} was never declared."
    seen = f" It was noticed by: {story.detected_by}." if story.detected_by else ""
    when = f"{story.declared.at:%H:%M:%S} UTC on {story.declared.at:%Y-%m-%d}"
    return f"At {when} an incident was declared: {_stop(story.title)}{seen}"


def _stop(text: str) -> str:
    text = clean(text, 400)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _found(story: Story) -> str:
    verdict = story.verdict
    if verdict is None:
        return "No verdict was reached."
    data = verdict.data
    title = _stop(str(data.get("title", "")))
    first = story.named or verdict
    after = f", {spoken(story.since(first))} after the declaration" if story.declared else ""
    if story.cause == "healthy":
        return f"The notebook {data.get('notebook')} found nothing wrong."
    if story.cause == "undetermined":
        return f"Its cause is undetermined: {title}"
    cause = f"The cause ({data.get('confidence')}) is that {title[:-1]}"
    return f"{cause}; the notebook {first.data.get('notebook')} named it{after}."


def _seen(story: Story) -> str:
    health = [f for _, f in story.findings() if f.get("check") == "http.health"]
    bad = [f for f in health if f.get("status") in LOUD]
    if bad:
        return f"From outside: {_stop(str(bad[0].get('summary')))}"
    return "" if health else "What users saw of it was not measured."


def _done(story: Story) -> str:
    if story.applied is None:
        if story.touched:
            plan = str(story.touched.data.get("plan"))
            words = [w for w in fate(story.incident, plan, story.events) if not w.startswith("approved")]
            title = _stop(_plan_title(story, plan))[:-1]
            return f'The plan "{title}" may have changed something: {_stop("; ".join(words))}'
        called, advised = story.last("escalated"), story.last("escalation_advised")
        if called:
            return f"Nothing was changed; it was escalated to {_stop(str(called.data.get('to', 'not known')))}"
        if advised:
            return f"Nothing was changed; the advice was to call {_stop(str(advised.data.get('to', 'not known')))}"
        return "Nothing was changed."
    title = _stop(_plan_title(story, story.applied.data.get("plan")))[:-1]
    who = story.applied.data.get("by") or story.applied.actor
    back = f" and undone at {story.undone.at:%H:%M:%S} UTC" if story.undone else ""
    return f'The plan "{title}" was applied at {story.applied.at:%H:%M:%S} UTC by {who}{back}.'


def _plan_title(story: Story, plan: Json) -> str:
    titles = [e.data.get("title") for e in story.all("plan_proposed") if e.data.get("plan") == plan]
    return str(titles[-1] if titles and titles[-1] else f"plan {plan}")


def _ended(story: Story) -> str:
    words = []
    if story.applied:
        words.append(helped(story.verified))
    if story.resolved and story.declared:
        lasted = spoken(story.since(story.resolved))
        words.append(f"It was resolved after {lasted}: {_stop(str(story.resolved.data.get('resolution') or ''))}")
    elif story.resolved is None:
        words.append("It is not resolved yet.")
    return " ".join(words)


def helped(verified: Event | None) -> str:
    """Whether it helped, as a sentence."""
    if verified is None:
        return "Whether it helped was not verified."
    held = verified.data.get("held_seconds")
    still = f" (the answers held for {spoken(held)})" if isinstance(held, int | float) else ""
    words = {"helped": "It helped", "no change": "It changed nothing", "worse": "It made things worse"}
    verdict = str(verified.data.get("verdict", ""))
    return f"{words.get(verdict, 'Whether it helped is not known')}{still}."
