//! The words that documents bring with them, in both languages.

use domain::Language;

/// A phrase of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phrase {
    Results,
    Steps,
    Workflow,
    Version,
    Run,
    Status,
    Started,
    Ended,
    Agent,
    Template,
    Item,
    /// A note on a whole run.
    PartlySimulated,
    /// A note on one step.
    Simulated,
    FailedAt,
    Failed,
    Skipped,
    NoResults,
    NotEnded,
    NoOutput,
    ShownAbove,
    Nothing,
    Yes,
    No,
    Summary,
    Actions,
    Improvements,
    Critique,
    Alternatives,
    Quality,
    /// What the quality of a whole run is.
    AverageThatCounts,
    People,
    Judge,
    Checks,
    /// Before how many marks lie on both sides of a median.
    MedianOf,
    /// Before the marks of a task that do not count.
    OtherMarks,
    ChecksHold,
    Unmet,
    OwnRating,
    /// Parts of an output that were asked for and not given.
    Absent,
    What,
    Owner,
    Due,
    Priority,
    High,
    Medium,
    Low,
}

impl Phrase {
    pub(crate) const fn in_language(self, language: Language) -> &'static str {
        let (english, arabic) = self.both();
        match language {
            Language::English => english,
            Language::Arabic => arabic,
        }
    }

    const fn both(self) -> (&'static str, &'static str) {
        match self {
            Self::Results => ("Results", "النتائج"),
            Self::Steps => ("Steps", "الخطوات"),
            Self::Workflow => ("Workflow", "سير العمل"),
            Self::Version => ("version", "الإصدار"),
            Self::Run => ("Run", "التشغيل"),
            Self::Status => ("Status", "الحالة"),
            Self::Started => ("Started", "بدأ في"),
            Self::Ended => ("Ended", "انتهى في"),
            Self::Agent => ("Agent", "الوكيل"),
            Self::Template => ("Template", "القالب"),
            Self::Item => ("Item", "العنصر"),
            Self::PartlySimulated => {
                ("Some of this was simulated: no model was asked for it.", "بعض ما يلي محاكاة: لم يُسأل عنه أي نموذج.")
            }
            Self::Simulated => ("This was simulated: no model was asked.", "هذه محاكاة: لم يُسأل أي نموذج."),
            Self::FailedAt => ("Failed at step", "فشل عند الخطوة"),
            Self::Failed => ("Failed", "فشل"),
            Self::Skipped => ("Skipped", "تم تخطّيها"),
            Self::NoResults => ("The run has no results.", "ليس لهذا التشغيل نتائج."),
            Self::NotEnded => ("The run has not ended yet.", "لم ينتهِ التشغيل بعد."),
            Self::NoOutput => ("No output.", "لا مُخرجات."),
            Self::ShownAbove => ("Shown under the results.", "معروض ضمن النتائج."),
            Self::Nothing => ("nothing", "لا شيء"),
            Self::Yes => ("yes", "نعم"),
            Self::No => ("no", "لا"),
            Self::Summary => ("Summary", "الملخص"),
            Self::Actions => ("Action items", "بنود العمل"),
            Self::Improvements => ("Suggested improvements", "التحسينات المقترحة"),
            Self::Critique => ("Critique", "النقد المهني"),
            Self::Alternatives => ("Alternatives", "البدائل الممكنة"),
            Self::Quality => ("Quality", "الجودة"),
            Self::AverageThatCounts => ("the average of the marks that count", "متوسط الدرجات المعتمدة"),
            Self::People => ("people", "الأشخاص"),
            Self::Judge => ("judge", "المُحكِّم"),
            Self::Checks => ("checks", "الفحوص"),
            Self::MedianOf => ("median of", "وسيط درجات عددها"),
            Self::OtherMarks => ("Other marks", "درجات أخرى"),
            Self::ChecksHold => ("checks hold", "من الفحوص محقَّق"),
            Self::Unmet => ("Not met", "غير محقَّق"),
            Self::OwnRating => ("The author's own rating", "تقييم الكاتب لعمله"),
            Self::Absent => ("Not given by the model", "لم يقدّمه النموذج"),
            Self::What => ("What", "المطلوب"),
            Self::Owner => ("Owner", "المسؤول"),
            Self::Due => ("Due", "الموعد"),
            Self::Priority => ("Priority", "الأولوية"),
            Self::High => ("high", "عالية"),
            Self::Medium => ("medium", "متوسطة"),
            Self::Low => ("low", "منخفضة"),
        }
    }
}

/// Where something stands, for people; what is not known stays as it is.
pub(crate) fn status(name: &str, language: Language) -> &str {
    if language == Language::English {
        return name;
    }
    match name {
        "pending" => "لم يبدأ",
        "running" => "قيد التنفيذ",
        "paused" => "متوقف مؤقتًا",
        "cancelling" => "قيد الإلغاء",
        "failing" | "failed" => "فشل",
        "compensating" => "قيد التراجع",
        "completed" => "مكتمل",
        "cancelled" => "أُلغي",
        "skipped" => "تم تخطّيه",
        other => other,
    }
}
