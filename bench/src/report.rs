use std::time::Duration;

use serde_json::json;

/// Collects figures and prints each as it comes.
pub(crate) struct Report {
    prefix: Option<String>,
    pub(crate) quick: bool,
    rows: Vec<[String; 5]>,
}

impl Report {
    pub(crate) fn new(prefix: Option<String>, quick: bool) -> Self {
        Self { prefix, quick, rows: Vec::new() }
    }

    /// Whether a benchmark of this name was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
    }

    /// Whether one of these benchmarks was asked for.
    pub(crate) fn wants_one(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Whether any benchmark of these families was asked for.
    pub(crate) fn wants_any(&self, families: &[&str]) -> bool {
        let Some(prefix) = self.prefix.as_deref() else { return true };
        families.iter().any(|family| family.starts_with(prefix) || prefix.starts_with(family))
    }

    /// Fewer rounds when in a hurry.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        if self.quick { (full / 10).max(1) } else { full }
    }

    pub(crate) fn add(&mut self, bench: &str, value: f64, unit: &str, reference: Option<f64>) {
        let mut line = json!({ "bench": bench, "value": rounded(value), "unit": unit });
        if let (Some(reference), Some(object)) = (reference, line.as_object_mut()) {
            object.insert("reference".to_owned(), json!(rounded(reference)));
            object.insert("ratio".to_owned(), json!(rounded(value / reference)));
        }
        println!("{line}");
        let text = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{:.3}", value));
        self.rows.push([
            bench.to_owned(),
            format!("{value:.3}"),
            unit.to_owned(),
            text(reference),
            text(reference.map(|reference| value / reference)),
        ]);
    }

    pub(crate) fn table(&self) {
        eprintln!("\n{:<28} {:>14} {:<10} {:>14} {:>8}", "bench", "value", "unit", "reference", "ratio");
        for [bench, value, unit, reference, ratio] in &self.rows {
            eprintln!("{bench:<28} {value:>14} {unit:<10} {reference:>14} {ratio:>8}");
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The given quantile (0 to 1) of durations, in milliseconds.
pub(crate) fn quantile_ms(durations: &mut [Duration], quantile: f64) -> f64 {
    durations.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index within the slice"
    )]
    let index = ((durations.len().saturating_sub(1)) as f64 * quantile).round() as usize;
    durations.get(index).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}

/// Events, rows or steps per second.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
