"""One frozen section per room; unknown keys are refused; TOML, then environment, then command line."""

from dialekt.config.adaptation import AdaptationConfig, AdaptationMethod, JudgedBy, KeepRule
from dialekt.config.adapter import AdapterConfig, AdapterKind
from dialekt.config.cluster import ClusterConfig, Place
from dialekt.config.diagnosis import DiagnosisConfig
from dialekt.config.examples import NegativeSampling, NegativesConfig, PairsConfig
from dialekt.config.index import IndexConfig, IndexEngine, Quantization, SearchConfig, SearchLog
from dialekt.config.loading import CONFIG_NAME, ENVIRONMENT_PREFIX, Config, ProjectConfig, load_config
from dialekt.config.logs import CleaningConfig, ClickModel, LogFormat, LogsConfig
from dialekt.config.material import (
    CorpusConfig,
    CorpusFormat,
    JudgmentsConfig,
    JudgmentsFormat,
    SplitConfig,
    SplitMethod,
)
from dialekt.config.model import ModelConfig
from dialekt.config.results import EvaluationConfig, RegistryConfig, ReportConfig
from dialekt.config.section import Section
from dialekt.config.serving import EngineName, LogStyle, ServingConfig
from dialekt.config.synthesis import Generator, QueryKind, SynthesisConfig
from dialekt.config.teacher import TRAINED_HERE, TeacherConfig, TeacherUse
from dialekt.config.training import ObjectiveName, Precision, TrainingConfig, TrainingMethod, TunedSide

__all__ = [
    "CONFIG_NAME",
    "ENVIRONMENT_PREFIX",
    "TRAINED_HERE",
    "AdaptationConfig",
    "AdaptationMethod",
    "AdapterConfig",
    "AdapterKind",
    "CleaningConfig",
    "ClickModel",
    "ClusterConfig",
    "Config",
    "CorpusConfig",
    "CorpusFormat",
    "DiagnosisConfig",
    "EngineName",
    "EvaluationConfig",
    "Generator",
    "IndexConfig",
    "IndexEngine",
    "JudgedBy",
    "JudgmentsConfig",
    "JudgmentsFormat",
    "KeepRule",
    "LogFormat",
    "LogStyle",
    "LogsConfig",
    "ModelConfig",
    "NegativeSampling",
    "NegativesConfig",
    "ObjectiveName",
    "PairsConfig",
    "Place",
    "Precision",
    "ProjectConfig",
    "Quantization",
    "QueryKind",
    "RegistryConfig",
    "ReportConfig",
    "SearchConfig",
    "SearchLog",
    "Section",
    "ServingConfig",
    "SplitConfig",
    "SplitMethod",
    "SynthesisConfig",
    "TeacherConfig",
    "TeacherUse",
    "TrainingConfig",
    "TrainingMethod",
    "TunedSide",
    "load_config",
]
