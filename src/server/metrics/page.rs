//! The text format of Prometheus (exposition format 0.0.4).

use std::fmt::Write as _;

use crate::env::meters::Distribution;

/// What kind of series a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// The page under way.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family of counters or gauges; its samples follow at once.
    pub fn family(&mut self, name: &str, kind: Kind, about: &str) -> Samples<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.begin(name, kind, about)
    }

    /// Begins a family of histograms.
    pub fn histogram(&mut self, name: &str, about: &str) -> Samples<'_> {
        self.begin(name, "histogram", about)
    }

    fn begin(&mut self, name: &str, kind: &str, about: &str) -> Samples<'_> {
        let about = about.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing into a text has no failure.
        let _ = writeln!(self.0, "# HELP {name} {about}\n# TYPE {name} {kind}");
        Samples { page: &mut self.0, name: name.to_owned() }
    }

    /// The whole page.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A family whose samples are being written.
#[derive(Debug)]
pub struct Samples<'a> {
    page: &'a mut String,
    name: String,
}

impl Samples<'_> {
    /// One sample.
    pub fn is(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let name = self.name.clone();
        self.line(&name, labels, None, value);
        self
    }

    /// One sample that is a whole number.
    pub fn count(&mut self, labels: &[(&str, &str)], value: u64) -> &mut Self {
        self.is(labels, float(value))
    }

    /// The samples of one histogram.
    pub fn distribution(&mut self, labels: &[(&str, &str)], of: &Distribution) -> &mut Self {
        let name = self.name.clone();
        for (bound, count) in &of.below {
            self.line(&format!("{name}_bucket"), labels, Some(&bound.to_string()), float(*count));
        }
        self.line(&format!("{name}_bucket"), labels, Some("+Inf"), float(of.count));
        self.line(&format!("{name}_sum"), labels, None, of.sum);
        self.line(&format!("{name}_count"), labels, None, float(of.count));
        self
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], below: Option<&str>, value: f64) {
        self.page.push_str(name);
        let labels = labels.iter().copied().chain(below.map(|below| ("le", below)));
        let mut before = '{';
        for (label, value) in labels {
            self.page.push(before);
            self.page.push_str(label);
            self.page.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.page.push_str("\\\\"),
                    '"' => self.page.push_str("\\\""),
                    '\n' => self.page.push_str("\\n"),
                    c => self.page.push(c),
                }
            }
            self.page.push('"');
            before = ',';
        }
        if before == ',' {
            self.page.push('}');
        }
        let _ = writeln!(self.page, " {value}");
    }
}

/// Whole numbers up to 2^53 are exact.
pub fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::meters::Histogram;

    #[test]
    fn the_page_is_what_the_format_says() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "With \\ and\nbreak.")
            .count(&[], 3)
            .is(&[("x", "q\"\\\n"), ("y", "ü")], 0.5);
        let histogram = Histogram::new(&[0.5, 1.0]);
        histogram.observe(0.7);
        histogram.observe(9.0);
        page.histogram("h", "H.").distribution(&[("k", "v")], &histogram.read());
        assert_eq!(
            page.finish(),
            "# HELP a_total With \\\\ and\\nbreak.\n# TYPE a_total counter\na_total 3\n\
             a_total{x=\"q\\\"\\\\\\n\",y=\"ü\"} 0.5\n\
             # HELP h H.\n# TYPE h histogram\n\
             h_bucket{k=\"v\",le=\"0.5\"} 0\nh_bucket{k=\"v\",le=\"1\"} 1\nh_bucket{k=\"v\",le=\"+Inf\"} 2\n\
             h_sum{k=\"v\"} 9.7\nh_count{k=\"v\"} 2\n"
        );
    }
}
