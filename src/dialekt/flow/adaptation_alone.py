"""The walk of `dialekt adapt`: up to the adaptation, with the documents alone where there are no queries."""

from contextlib import closing

from dialekt.errors import ConfigError
from dialekt.flow.adaptation import ADAPTATION, is_on
from dialekt.flow.diagnosing import has_queries
from dialekt.flow.journey import skip_or_run, stages_until
from dialekt.flow.project import Project
from dialekt.flow.records import Observer, SilentObserver, StageName, StageRecord
from dialekt.flow.workbench import Workbench
from dialekt.store.lock import exclusive


def adapt(project: Project, *, observer: Observer | None = None) -> StageRecord:
    """Walk the stages that the adaptation reads, adapt, and return the record; its facts are `AdaptationFacts`.

    What was done before is skipped, and `dialekt run` skips in turn what was done here. Without judgments, logs or made
    queries only the documents are read. Raises `DialektError`.
    """
    if not is_on(project.config):
        raise ConfigError("adaptation.methods is empty", hint="set it, for example to ['mlm']")
    watching = observer or SilentObserver()
    asked = has_queries(project)
    opened = Workbench(project, may_download=True, documents_only=not asked)
    with exclusive(project.artefacts), closing(opened) as bench:
        last = StageName.TEACHER if project.config.teacher.model is not None else StageName.NEGATIVES
        for stage in stages_until(last if asked else StageName.CORPUS, bench):
            skip_or_run(stage, bench, watching)
        return skip_or_run(ADAPTATION, bench, watching)
