//! What the parts of an output are called, by people and models, in both languages.

/// A part of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Summary,
    Results,
    Data,
    Improvements,
    Critique,
    Alternatives,
    Actions,
    Rating,
}

const NAMES: &[(Part, &[&str])] = &[
    (
        Part::Summary,
        &[
            "summary",
            "executive summary",
            "overview",
            "tl;dr",
            "tldr",
            "abstract",
            "in short",
            "الملخص",
            "ملخص",
            "الملخص التنفيذي",
            "ملخص تنفيذي",
            "الخلاصة",
            "خلاصة",
            "نبذة",
        ],
    ),
    (
        Part::Results,
        &[
            "results",
            "result",
            "final results",
            "final result",
            "final answer",
            "answer",
            "final output",
            "deliverable",
            "النتائج",
            "النتيجة",
            "النتائج النهائية",
            "النتيجة النهائية",
            "الإجابة",
            "الجواب",
            "المخرجات",
            "المخرجات النهائية",
        ],
    ),
    (Part::Data, &["data", "structured data", "البيانات", "البيانات المنظمة"]),
    (
        Part::Improvements,
        &[
            "suggested improvements",
            "improvements",
            "improvement suggestions",
            "suggestions for improvement",
            "recommended improvements",
            "possible improvements",
            "suggestions",
            "التحسينات المقترحة",
            "تحسينات مقترحة",
            "مقترحات التحسين",
            "اقتراحات التحسين",
            "التحسينات",
            "اقتراحات للتحسين",
            "مقترحات للتحسين",
        ],
    ),
    (
        Part::Critique,
        &[
            "critique",
            "professional critique",
            "critical review",
            "critical assessment",
            "self critique",
            "النقد",
            "نقد",
            "النقد المهني",
            "نقد مهني",
            "التقييم النقدي",
            "المراجعة النقدية",
            "مراجعة نقدية",
        ],
    ),
    (
        Part::Alternatives,
        &[
            "alternatives",
            "possible alternatives",
            "alternative approaches",
            "alternative options",
            "other options",
            "البدائل",
            "بدائل",
            "البدائل الممكنة",
            "بدائل ممكنة",
            "خيارات بديلة",
            "حلول بديلة",
            "البدائل المتاحة",
        ],
    ),
    (
        Part::Actions,
        &[
            "action items",
            "actions",
            "action list",
            "next steps",
            "follow up actions",
            "follow ups",
            "to dos",
            "todos",
            "specific action items",
            "بنود العمل",
            "الإجراءات",
            "المهام",
            "إجراءات المتابعة",
            "الخطوات التالية",
            "خطوات العمل",
            "بنود المتابعة",
            "الإجراءات المطلوبة",
            "المهام المطلوبة",
            "بنود الإجراءات",
            "الإجراءات التالية",
        ],
    ),
    (
        Part::Rating,
        &[
            "quality",
            "quality score",
            "score",
            "rating",
            "self assessment",
            "quality rating",
            "quality assessment",
            "self rating",
            "الجودة",
            "درجة الجودة",
            "تقييم الجودة",
            "التقييم",
            "الدرجة",
            "التقييم الذاتي",
        ],
    ),
];

/// The part that a heading or a key names.
pub(super) fn part(label: &str) -> Option<Part> {
    // Whatever is longer is a sentence.
    if label.chars().count() > 60 {
        return None;
    }
    let label = normal(label);
    if label.is_empty() {
        return None;
    }
    NAMES.iter().find(|(_, names)| names.iter().any(|name| normal(name) == label)).map(|(part, _)| *part)
}

/// Labels are compared without numbers and marks around them, whatever their case, with the Arabic letters that people
/// write one for the other made one.
pub(super) fn normal(label: &str) -> String {
    let mut words = String::with_capacity(label.len());
    let mut was_lower = false;
    for letter in label.chars() {
        let letter = match letter {
            'أ' | 'إ' | 'آ' => 'ا',
            'ى' => 'ي',
            'ة' => 'ه',
            // Marks over letters, and the line that stretches words.
            '\u{064B}'..='\u{0652}' | '\u{0640}' => continue,
            '_' | '-' | '/' | '\u{2010}'..='\u{2015}' => ' ',
            other => other,
        };
        // As keys are written: actionItems.
        if letter.is_ascii_uppercase() && was_lower {
            words.push(' ');
        }
        was_lower = letter.is_ascii_lowercase();
        words.extend(letter.to_lowercase());
    }
    let kept = words.trim_matches(|letter: char| !letter.is_alphabetic());
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}
