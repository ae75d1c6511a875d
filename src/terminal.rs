//! What depends on whether a person is watching: colours, widths, a line that is rewritten.
//! Decides nothing about content.

use std::io::{IsTerminal, Write};

/// What a word means to the eye.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// On its way.
    Busy,
    /// Needs attention.
    Bad,
    /// Less important.
    Dim,
    /// More important.
    Strong,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Never any colour.
    pub const OFF: Paint = Paint { on: false };

    /// For standard output.
    pub fn stdout() -> Paint {
        Paint { on: wanted(std::io::stdout().is_terminal()) }
    }

    /// For standard error.
    pub fn stderr() -> Paint {
        Paint { on: wanted(std::io::stderr().is_terminal()) }
    }

    /// The text in its tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Busy => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        if self.on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Colours are for terminals whose owner has not asked for none.
fn wanted(terminal: bool) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    terminal && !no_color && !dumb
}

/// The width of standard output, if it is a terminal.
pub fn width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(stdout).map(|(width, _)| usize::from(width.0))
}

/// Columns and rows of the terminal on standard output; 80 by 24 where there is none.
pub fn size() -> (u16, u16) {
    terminal_size::terminal_size_of(std::io::stdout())
        .map_or((80, 24), |(width, height)| (width.0, height.0))
}

/// The text cut to a number of columns, the last of them `…` where something was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Text from elsewhere made safe to show: control characters are written out.
pub fn plain(text: &str) -> String {
    if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return text.to_owned();
    }
    let show = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(show).collect()
}

/// Says on standard error how something goes on: one rewritten line on a terminal, plain lines
/// elsewhere.
pub struct Progress {
    terminal: bool,
    quiet: bool,
    shown: String,
}

impl Progress {
    /// For standard error as it is.
    pub fn new(quiet: bool) -> Progress {
        Progress { terminal: std::io::stderr().is_terminal(), quiet, shown: String::new() }
    }

    /// Shows how far it is, unless that is already shown.
    pub fn show(&mut self, text: &str) {
        if self.quiet || text == self.shown {
            return;
        }
        self.shown = text.to_owned();
        let mut err = std::io::stderr().lock();
        // Talk that cannot be shown is no reason to fail.
        let _ = if self.terminal {
            let line = plain(text).replace('\n', " ");
            let width = terminal_size::terminal_size_of(&err).map_or(80, |(w, _)| w.0);
            write!(err, "\r\u{1b}[K{}", cut(&line, usize::from(width).saturating_sub(1)))
        } else {
            writeln!(err, "{}", plain(text))
        };
        let _ = err.flush();
    }

    /// Takes the rewritten line away, so that something else can be said.
    pub fn clear(&mut self) {
        if self.terminal && !self.shown.is_empty() {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\u{1b}[K");
            let _ = err.flush();
        }
        self.shown.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_only_painted_where_they_are_wanted() {
        assert_eq!(Paint::OFF.tone(Tone::Bad, "x"), "x");
        assert_eq!(Paint { on: true }.tone(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(Paint { on: true }.tone(Tone::Plain, "x"), "x");
    }

    #[test]
    fn long_text_is_cut_and_escapes_are_shown() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(plain("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\n");
    }
}
