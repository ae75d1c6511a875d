//! The table: what is measured, its goal and its peer, and how it is shown. Not the measuring.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What a value is meant to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// It stands there for comparison.
    None,
    /// A peer's figure of the same run, and the peer is not installed.
    Absent,
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Goal {
    /// The bound, without its direction.
    fn bound(self) -> Option<f64> {
        match self {
            Goal::None | Goal::Absent => None,
            Goal::AtMost(bound) | Goal::AtLeast(bound) => Some(bound),
        }
    }

    /// None where it cannot be told.
    fn met(self, value: f64) -> Option<bool> {
        match self {
            Goal::None => Some(true),
            Goal::Absent => None,
            Goal::AtMost(bound) => Some(value <= bound),
            Goal::AtLeast(bound) => Some(value >= bound),
        }
    }
}

/// Somebody else's figure for the same work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peer {
    /// Whose.
    pub name: &'static str,
    /// In the unit of the row.
    pub value: f64,
}

/// One measured row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The work.
    pub name: String,
    /// The median over the runs.
    pub value: f64,
    /// Of the value, the goal and the peer's value.
    pub unit: &'static str,
    /// What the value is meant to be.
    pub goal: Goal,
    /// Somebody else's figure.
    pub peer: Option<Peer>,
    /// How it was measured, where the name does not say.
    pub note: String,
    /// What was wrong with what was measured; its speed then counts for nothing.
    pub wrong: String,
}

impl Row {
    /// A row without a peer.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, goal: Goal) -> Row {
        Row {
            name: name.into(),
            value,
            unit,
            goal,
            peer: None,
            note: String::new(),
            wrong: String::new(),
        }
    }

    /// The same row with a sentence on how it was measured.
    pub fn noted(mut self, note: impl Into<String>) -> Row {
        self.note = note.into();
        self
    }

    /// The same row, which fails whatever its value if `wrong` says something.
    pub fn unless(mut self, wrong: impl Into<String>) -> Row {
        self.wrong = wrong.into();
        self
    }

    fn met(&self) -> Option<bool> {
        if self.wrong.is_empty() { self.goal.met(self.value) } else { Some(false) }
    }

    /// The same row beside a peer's figure.
    pub fn beside(mut self, name: &'static str, value: f64) -> Row {
        self.peer = Some(Peer { name, value });
        self
    }

    fn cells(&self) -> [String; 6] {
        let amount = |value: f64| format!("{} {}", plain(value), self.unit);
        let goal = match self.goal {
            Goal::None | Goal::Absent => "-".to_owned(),
            Goal::AtMost(bound) => format!("≤ {}", amount(bound)),
            Goal::AtLeast(bound) => format!("≥ {}", amount(bound)),
        };
        let met = match (self.goal, self.met()) {
            (Goal::None, Some(true)) => "-",
            (_, Some(true)) => "yes",
            (_, Some(false)) => "NO",
            (_, None) => "?",
        };
        let peer = self.peer.map(|peer| format!("{} {}", amount(peer.value), peer.name));
        // More than 1 is better than the peer, whichever way is good.
        let ratio = self.peer.map(|peer| match self.goal {
            Goal::AtLeast(_) => format!("{:.1}×", self.value / peer.value),
            _ => format!("{:.1}×", peer.value / self.value),
        });
        [
            self.name.clone(),
            amount(self.value),
            goal,
            met.to_owned(),
            peer.unwrap_or_else(|| "-".to_owned()),
            ratio.unwrap_or_else(|| "-".to_owned()),
        ]
    }

    fn json(&self) -> Value {
        let peer = self.peer.map(|peer| json!({ "name": peer.name, "value": peer.value }));
        let mut row = json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "goal": self.goal.bound(),
            "met": self.met(),
            "peer": peer,
        });
        for (field, text) in [("note", &self.note), ("wrong", &self.wrong)] {
            if !text.is_empty() {
                row[field] = Value::from(text.as_str());
            }
        }
        row
    }
}

/// The middle one of the values, or the mean of the two in the middle; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n.is_multiple_of(2) => f64::midpoint(values[n / 2 - 1], values[n / 2]),
        n => values[n / 2],
    }
}

/// The rows as a table with aligned columns.
pub fn text(rows: &[Row]) -> String {
    let head = ["work", "value", "goal", "met", "peer", "ratio"].map(str::to_owned);
    let lines: Vec<[String; 6]> =
        std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{cell:<width$}  ");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    for row in rows {
        for said in [&row.note, &row.wrong].into_iter().filter(|said| !said.is_empty()) {
            let _ = writeln!(text, "{}: {said}", row.name);
        }
    }
    text
}

/// The rows as `target/bench.json` has them.
pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(Row::json).collect()
}

/// A number with about three digits that matter, and commas between thousands.
pub fn plain(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shown_with_goal_and_peer() {
        let rows = [
            Row::new("start", 0.42, "s", Goal::AtMost(0.5)).beside("Kubernetes", 4.2),
            Row::new("place", 99_999.0, "/s", Goal::AtLeast(100_000.0)),
            Row::new("plan", 12.34, "µs", Goal::None),
        ];
        let shown = text(&rows);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], "start  0.42 s     ≤ 0.50 s      yes  4.20 s Kubernetes  10.0×");
        assert_eq!(lines[2], "place  99,999 /s  ≥ 100,000 /s  NO   -                  -");
        assert_eq!(lines[3], "plan   12.3 µs    -             -    -                  -");
        let value = json(&rows);
        assert_eq!(value[0]["peer"]["value"], 4.2);
        assert_eq!(value[1]["met"], false);
        assert_eq!(value[2]["goal"], Value::Null);
    }

    #[test]
    fn a_row_without_its_peer_is_open_and_a_wrong_answer_fails() {
        let open = Row::new("ingest", 5.0, "rows", Goal::Absent).noted("no peer here");
        let quick = Row::new("query", 1.0, "s", Goal::AtMost(2.0)).unless("another answer");
        let better = Row::new("rows", 4.0, "/s", Goal::AtLeast(1.0)).beside("Peer", 2.0);
        let shown = text(&[open.clone(), quick.clone(), better]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], "ingest  5 rows  -       ?    -          -");
        assert_eq!(lines[2], "query   1 s     ≤ 2 s   NO   -          -");
        assert_eq!(lines[3], "rows    4 /s    ≥ 1 /s  yes  2 /s Peer  2.0×");
        assert_eq!(lines[4..], ["ingest: no peer here", "query: another answer"]);
        let value = json(&[open, quick]);
        assert_eq!(value[0]["met"], Value::Null);
        assert_eq!(
            (&value[1]["met"], &value[1]["wrong"]),
            (&false.into(), &"another answer".into())
        );
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }
}
