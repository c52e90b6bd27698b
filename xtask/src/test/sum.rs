//! What all test programs together report.

/// The sum of the `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Sum {
    /// Adds a line such as `test result: ok. 28 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1s`;
    /// other lines add nothing.
    pub(super) fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
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

    /// The sum, given whether `cargo test` succeeded. A test program that does not build, or dies without a result,
    /// is in nobody's count; it must not look like success.
    pub(super) fn finish(mut self, succeeded: bool) -> Self {
        if !succeeded && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        let line =
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(sum(&[line]).finish(true).to_string(), "2 passed, 0 failed");
    }

    #[test]
    fn a_test_program_that_died_is_a_failure() {
        let line =
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let sum = sum(&[line, "running 9 tests"]);
        assert_eq!(sum.finish(false).to_string(), "2 passed, 1 failed");
    }
}
