//! What all test programs together report.

/// How much a failed test may say in the sum: its last lines.
const TOLD: usize = 30;

/// The sum of the `test result:` lines, and what failed, so that the end of a long output tells it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
    /// What failed, and what it said.
    pub(super) failures: Vec<String>,
    /// The output that is being read.
    reading: Reading,
}

/// Where in the output of a test program the next line is.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reading {
    /// Between two programs.
    #[default]
    Between,
    /// Tests run: how many, and what was printed last, which is all that is known of a program that dies.
    Running(Vec<String>),
    /// A failed test's name, and the end of its output.
    Failure(Vec<String>),
    /// The names of those that failed, which were told already.
    Names,
}

impl Sum {
    /// Adds a line such as `test result: ok. 28 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1s`,
    /// and those between `---- a_test stdout ----` and the next such line. Other lines add nothing.
    pub(super) fn add(&mut self, line: &str) {
        if let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        {
            self.reading = Reading::Between;
            self.add_counts(counts);
        } else if is_start(line) && !matches!(self.reading, Reading::Failure(_)) {
            self.end_program();
            self.reading = Reading::Running(vec![line.to_owned()]);
        } else if let Some(test) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            self.end_failure();
            self.reading = Reading::Failure(vec![format!("FAILED: {test}")]);
        } else if line == "failures:" {
            self.end_failure();
            self.reading = Reading::Names;
        } else if let Reading::Running(lines) | Reading::Failure(lines) = &mut self.reading
            && !line.trim().is_empty()
        {
            lines.push(line.to_owned());
            if lines.len() > TOLD {
                lines.remove(1);
            }
        }
    }

    fn add_counts(&mut self, counts: &str) {
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    fn end_failure(&mut self) {
        if let Reading::Failure(lines) = std::mem::take(&mut self.reading) {
            self.failures.push(lines.join("\n"));
        }
    }

    /// A program that has a result has told it before the next one starts.
    fn end_program(&mut self) {
        if let Reading::Running(lines) = &self.reading {
            let told = lines.join("\n");
            self.failures
                .push(format!("DIED: a test program, after it had said\n{told}"));
        }
    }

    /// The sum, given whether `cargo test` succeeded. A test program that does not build, or dies without a result,
    /// is in nobody's count; it must not look like success.
    pub(super) fn finish(mut self, succeeded: bool) -> Self {
        self.end_program();
        self.reading = Reading::Between;
        if !succeeded && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

/// Whether a test program says here how many tests it has: `running 32 tests`.
fn is_start(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| rest.split_once(" test"))
        .is_some_and(|(number, _)| number.parse::<u64>().is_ok())
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.failures.extend(other.failures);
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}\n")?;
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 {
            write!(f, ", {} skipped", self.ignored)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(lines: &[&str]) -> Sum {
        let mut sum = Sum::default();
        for line in lines {
            sum.add(line);
        }
        sum
    }

    const GOOD: &str =
        "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn results_are_added_up() {
        let sum = sum(&[
            "running 32 tests",
            "test result: ok. 28 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "test a_thing ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.90s",
        ]);
        assert_eq!(sum.finish(false).to_string(), "30 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn nothing_skipped_is_not_mentioned() {
        assert_eq!(sum(&[GOOD]).finish(true).to_string(), "2 passed, 0 failed");
    }

    #[test]
    fn what_failed_is_told_before_the_sum() {
        let sum = sum(&[
            "running 3 tests",
            "test a ... ok",
            "test b ... FAILED",
            "",
            "failures:",
            "",
            "---- b stdout ----",
            "running 3 tests",
            "thread 'b' panicked at tests/b.rs:7:5:",
            "left is not right",
            "",
            "---- c stdout ----",
            "no room",
            "",
            "failures:",
            "    b",
            "    c",
            "",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.90s",
            "running 2 tests",
            GOOD,
        ]);
        assert_eq!(
            sum.finish(false).to_string(),
            "FAILED: b\nrunning 3 tests\nthread 'b' panicked at tests/b.rs:7:5:\nleft is not right\n\nFAILED: c\nno room\n\n\
             3 passed, 2 failed"
        );
    }

    #[test]
    fn of_a_long_output_the_end_is_told() {
        let mut lines = vec!["---- b stdout ----".to_owned()];
        lines.extend((0..1_000).map(|line| format!("line {line}")));
        lines.push("failures:".to_owned());
        let told = sum(&lines.iter().map(String::as_str).collect::<Vec<_>>()).failures;
        assert!(
            told[0].starts_with("FAILED: b\nline 971\n") && told[0].ends_with("line 999"),
            "{told:?}"
        );
    }

    #[test]
    fn a_test_program_that_died_is_a_failure() {
        for next in [&[][..], &["running 2 tests", GOOD]] {
            let mut lines = vec![GOOD, "running 9 tests", "test first ... ok"];
            lines.extend(next);
            let told = sum(&lines).finish(false).to_string();
            assert!(
                told.starts_with("DIED: ") && told.contains("first ... ok"),
                "{told}"
            );
            assert!(told.ends_with("passed, 1 failed"), "{told}");
        }
    }
}
