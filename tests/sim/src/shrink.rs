//! Makes a failing plan shorter: leaves out ever smaller pieces as long as it still fails (Zeller and Hildebrandt, "Simplifying
//! and Isolating Failure-Inducing Input", 2002).

use crate::plan::Plan;

/// Lives that shrinking may take.
const LIVES: usize = 600;

/// The shortest plan that was found to fail, if `plan` fails. `fails` lives a plan and names the operation that showed it.
pub fn shrink(plan: Plan, fails: impl Fn(&Plan) -> Option<(usize, String)>) -> Plan {
    let mut best = plan;
    let mut lives = 0;
    let mut piece = best.operations.len();
    while piece > 0 && lives < LIVES {
        let mut at = 0;
        let mut shorter = false;
        while at < best.operations.len() && lives < LIVES {
            let mut candidate = best.clone();
            candidate.operations.drain(at..(at + piece).min(best.operations.len()));
            lives += 1;
            match fails(&candidate) {
                Some((step, _)) => {
                    candidate.operations.truncate(step + 1);
                    best = candidate;
                    shorter = true;
                }
                None => at += piece,
            }
        }
        piece = if shorter { piece.min(best.operations.len()) } else { piece / 2 };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Operation;

    #[test]
    fn what_has_nothing_to_do_with_the_failure_is_left_out() {
        let mut plan = Plan::of(1, 100);
        plan.operations[17] = Operation::Snapshot;
        plan.operations[60] = Operation::Heal;
        plan.operations[61..].fill(Operation::Verify);
        plan.operations[..17].fill(Operation::Verify);
        plan.operations[18..60].fill(Operation::Checkpoint);
        let fails = |plan: &Plan| {
            let first = plan.operations.iter().position(|operation| *operation == Operation::Snapshot)?;
            let then = plan.operations[first..].iter().position(|operation| *operation == Operation::Heal)?;
            Some((first + then, String::new()))
        };
        assert_eq!(shrink(plan, fails).operations, [Operation::Snapshot, Operation::Heal]);
    }
}
