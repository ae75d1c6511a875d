//! Reading reports of tests in JUnit's XML, which came from a step and is not to be trusted: its
//! size, depth and number of tests are bounded, and nothing of it is expanded or looked up. It
//! judges nothing; a broken report is an error, and what follows from that is not decided here.

use std::collections::BTreeMap;

use atoll_model::ci::step::Suite;
use atoll_model::ci::task::{TestCase, TestOutcome, TestTotals};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The largest report that is read, in bytes.
pub const LARGEST: u64 = 16 << 20;
/// Tests that are kept one by one; all are counted.
pub const MOST_CASES: usize = 20_000;
const DEEPEST: usize = 64;
/// Letters of a name and of a message that are kept.
const NAME: usize = 300;
const MESSAGE: usize = 2_000;

/// The tests of one report.
///
/// # Errors
/// One sentence: what is wrong with it.
pub fn read(text: &str, suite: Suite) -> Result<Vec<TestCase>, String> {
    let mut reader = Reader::from_str(text);
    let mut report =
        Report { suite, groups: Vec::new(), case: None, told: false, done: Vec::new() };
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(|e| format!("is no valid XML: {e}"))? {
            Event::Start(element) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(format!("is nested deeper than {DEEPEST} elements"));
                }
                report.begin(&element);
            }
            Event::Empty(element) => {
                report.begin(&element);
                report.end(element.local_name().as_ref());
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                report.end(element.local_name().as_ref());
            }
            Event::Text(text) => report.text(&String::from_utf8_lossy(&text)),
            Event::CData(text) => report.text(&String::from_utf8_lossy(&text)),
            Event::DocType(_) => return Err("declares a type of its own, as no report does".into()),
            Event::Eof if depth > 0 => return Err("ends in the middle".into()),
            Event::Eof => return Ok(report.done),
            _ => {}
        }
    }
}

/// How many of the tests went how, by suite.
pub fn totals(cases: &[TestCase]) -> BTreeMap<Suite, TestTotals> {
    let mut all: BTreeMap<Suite, TestTotals> = BTreeMap::new();
    for case in cases {
        let totals = all.entry(case.suite).or_default();
        match case.outcome {
            TestOutcome::Passed => totals.passed += 1,
            TestOutcome::Failed => totals.failed += 1,
            TestOutcome::Skipped => totals.skipped += 1,
        }
        totals.millis = totals.millis.saturating_add(case.millis);
    }
    all
}

struct Report {
    suite: Suite,
    /// The names of the suites around, the innermost last.
    groups: Vec<String>,
    case: Option<TestCase>,
    /// Whether what is read now is what a failure says.
    told: bool,
    done: Vec<TestCase>,
}

impl Report {
    fn begin(&mut self, element: &BytesStart<'_>) {
        match element.local_name().as_ref() {
            b"testsuite" => self.groups.push(attribute(element, "name").unwrap_or_default()),
            b"testcase" => {
                let around = || self.groups.last().cloned().unwrap_or_default();
                let group = attribute(element, "classname").filter(|g| !g.is_empty());
                let time = attribute(element, "time").unwrap_or_default();
                self.case = Some(TestCase {
                    suite: self.suite,
                    group: short(&group.unwrap_or_else(around), NAME),
                    name: short(&attribute(element, "name").unwrap_or_default(), NAME),
                    outcome: TestOutcome::Passed,
                    millis: millis(&time),
                    message: None,
                });
            }
            b"failure" | b"error" => self.outcome(element, TestOutcome::Failed),
            b"skipped" => self.outcome(element, TestOutcome::Skipped),
            _ => {}
        }
    }

    fn outcome(&mut self, element: &BytesStart<'_>, outcome: TestOutcome) {
        let Some(case) = &mut self.case else { return };
        // A test that failed and broke has failed once.
        if case.outcome != TestOutcome::Failed {
            case.outcome = outcome;
        }
        let message = attribute(element, "message").filter(|m| !m.is_empty());
        case.message = case.message.take().or(message.map(|m| short(&m, MESSAGE)));
        self.told = true;
    }

    fn text(&mut self, text: &str) {
        let Some(case) = self.case.as_mut().filter(|_| self.told) else { return };
        if text.trim().is_empty() {
            return;
        }
        let mut message = case.message.take().unwrap_or_default();
        let left = MESSAGE.saturating_sub(message.chars().count());
        if !message.is_empty() {
            message.push('\n');
        }
        message.push_str(&short(plain(text).trim(), left));
        case.message = Some(message);
    }

    fn end(&mut self, name: &[u8]) {
        match name {
            b"testsuite" => drop(self.groups.pop()),
            b"testcase" => self.done.extend(self.case.take()),
            b"failure" | b"error" | b"skipped" => self.told = false,
            _ => {}
        }
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.attributes().flatten().find(|a| a.key.as_ref() == name.as_bytes())?;
    Some(plain(&String::from_utf8_lossy(&found.value)))
}

/// Text with the five entities of XML and numbers of letters resolved; others stay as they are.
fn plain(text: &str) -> String {
    match quick_xml::escape::unescape(text) {
        Ok(plain) => plain.into_owned(),
        Err(_) => text.to_owned(),
    }
}

fn short(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

/// Seconds as reports write them, with dots or with commas between thousands.
fn millis(time: &str) -> u64 {
    let seconds: f64 = time.replace(',', "").trim().parse().unwrap_or(0.0);
    // What is negative or no number becomes 0.
    (seconds * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_read_with_how_they_went() {
        let text = r#"<?xml version="1.0"?>
            <testsuites><testsuite name="shop">
              <testcase name="adds" classname="cart" time="0.25"/>
              <testcase name="removes" time="1,000.5"><failure message="want &lt;1&gt;">got 2</failure>
                <system-out>noise</system-out></testcase>
              <testcase name="later"><skipped/></testcase>
              <testcase name="breaks"><error><![CDATA[no route]]></error></testcase>
            </testsuite></testsuites>"#;
        let cases = read(text, Suite::Unit).unwrap();
        let said: Vec<_> = cases
            .iter()
            .map(|c| (c.group.as_str(), c.name.as_str(), c.outcome, c.message.as_deref()))
            .collect();
        use TestOutcome::*;
        let expected = [
            ("cart", "adds", Passed, None),
            ("shop", "removes", Failed, Some("want <1>\ngot 2")),
            ("shop", "later", Skipped, None),
            ("shop", "breaks", Failed, Some("no route")),
        ];
        assert_eq!(said, expected);
        let totals = totals(&cases)[&Suite::Unit];
        let counts = (totals.passed, totals.failed, totals.skipped, totals.millis);
        assert_eq!(counts, (1, 2, 1, 1_000_750));
    }

    #[test]
    fn what_is_hostile_or_broken_is_an_error() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><x>&b;</x>";
        assert!(read(bomb, Suite::Unit).unwrap_err().contains("type of its own"));
        let deep = "<a>".repeat(100_000);
        assert!(read(&deep, Suite::Unit).unwrap_err().contains("deeper"));
        for broken in ["<testsuite>", "<a></b>", "<testcase name='x'", "<a><b></a>"] {
            assert!(read(broken, Suite::Unit).is_err(), "{broken}");
        }
        assert_eq!(read("", Suite::Unit), Ok(Vec::new()));
        let odd = read("<testcase name='&what;' time='-3'/>", Suite::Unit).unwrap();
        assert_eq!((odd[0].name.as_str(), odd[0].millis), ("&what;", 0));
    }
}
