//! Straight lines drawn on a page: what tables are ruled with.
//!
//! A rule may be drawn in many ways: stroked, as a thin filled box, cell by cell or from edge to
//! edge. All of them become stretches of one horizontal or vertical line.

/// A thicker box is a background or a bar.
const THICKEST: f32 = 3.0;

/// A shorter line is a dash or a part of a drawing, unless it touches others.
const SHORTEST: f32 = 3.0;

/// Lines this close to each other are one: double rules, borders of neighbouring cells.
pub(super) const TOUCH: f32 = 3.0;

/// A page with more lines shows a drawing.
const MOST: usize = 20_000;

/// A page with more lines after those that touch are joined shows a drawing. Every horizontal one
/// is compared with every vertical one.
const MOST_JOINED: usize = 1_000;

/// A horizontal line at a height, or a vertical one at a distance from the left, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) at: f32,
    pub(super) from: f32,
    pub(super) to: f32,
}

impl Rule {
    /// Whether `place` lies along the rule.
    pub(super) fn covers(&self, place: f32) -> bool {
        self.from <= place && place <= self.to
    }

    /// Whether this rule and `other`, which is at a right angle to it, meet.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let near = |rule: &Self, place: f32| rule.from - TOUCH <= place && place <= rule.to + TOUCH;
        near(self, other.at) && near(other, self.at)
    }
}

/// The rules of a page, as they are drawn.
#[derive(Debug, Default)]
pub(super) struct Rules {
    across: Vec<Rule>,
    down: Vec<Rule>,
}

impl Rules {
    /// Whether the page has so many that they are a drawing, and more need not be told.
    pub(super) fn is_drawing(&self) -> bool {
        self.across.len() + self.down.len() > MOST
    }

    /// Adds a stroked line, if it is upright or level.
    pub(super) fn line(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) {
        self.filled((x0.min(x1), y0.min(y1)), (x0.max(x1), y0.max(y1)));
    }

    /// Adds a filled box, if it is thin.
    pub(super) fn filled(&mut self, (left, top): (f64, f64), (right, bottom): (f64, f64)) {
        let [left, top, right, bottom] = [left, top, right, bottom].map(|place| place as f32);
        // What is not on any paper is a trick; a place that is no number fails here too.
        let is_sane = |value: f32| value.abs() < 1e5;
        if ![left, top, right, bottom].into_iter().all(is_sane) || self.is_drawing() {
            return;
        }
        let (width, height) = (right - left, bottom - top);
        if height <= THICKEST && width > height {
            self.across.push(Rule { at: (top + bottom) / 2.0, from: left, to: right });
        } else if width <= THICKEST && height > width {
            self.down.push(Rule { at: (left + right) / 2.0, from: top, to: bottom });
        }
    }

    /// The horizontal and the vertical rules, those that touch made one; none if the page shows a
    /// drawing.
    pub(super) fn joined(&self) -> (Vec<Rule>, Vec<Rule>) {
        if self.is_drawing() {
            return Default::default();
        }
        let (across, down) = (join(&self.across), join(&self.down));
        match across.len().max(down.len()) > MOST_JOINED {
            true => Default::default(),
            false => (across, down),
        }
    }
}

fn join(rules: &[Rule]) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    rules.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut joined = Vec::new();
    for level in levels(&mut rules) {
        level.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut whole: Option<Rule> = None;
        for rule in level {
            match &mut whole {
                Some(whole) if rule.from <= whole.to + TOUCH => whole.to = whole.to.max(rule.to),
                _ => joined.extend(whole.replace(*rule)),
            }
        }
        joined.extend(whole);
    }
    joined.retain(|rule| rule.to - rule.from >= SHORTEST);
    joined
}

/// Cuts sorted rules where the next one is further away than a double rule's second line.
fn levels(mut rules: &mut [Rule]) -> Vec<&mut [Rule]> {
    let mut levels = Vec::new();
    while let Some(first) = rules.first().map(|rule| rule.at) {
        let count = rules.partition_point(|rule| rule.at - first < TOUCH / 2.0);
        let (level, rest) = rules.split_at_mut(count.max(1));
        levels.push(level);
        rules = rest;
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_drawn_in_pieces_and_in_several_ways_is_one() {
        let mut rules = Rules::default();
        rules.line((10.0, 50.0), (60.0, 50.0));
        rules.filled((61.0, 49.8), (120.0, 50.6));
        rules.line((10.0, 51.0), (120.0, 51.0));
        rules.line((200.0, 50.0), (240.0, 50.0));
        rules.line((10.0, 50.0), (90.0, 140.0));
        let (across, down) = rules.joined();
        let ends: Vec<_> = across.iter().map(|rule| (rule.from, rule.to)).collect();
        assert_eq!(ends, [(10.0, 120.0), (200.0, 240.0)]);
        assert!(down.is_empty());
    }

    #[test]
    fn what_is_on_no_paper_is_no_rule_and_a_drawing_has_none() {
        let mut rules = Rules::default();
        rules.line((f64::NAN, 0.0), (50.0, 0.0));
        rules.line((0.0, 0.0), (1e9, 0.0));
        assert!(rules.joined().0.is_empty());
        (0..1_000_000u32).for_each(|at| {
            rules.line((0.0, f64::from(at % 5000)), (50.0, f64::from(at % 5000)));
        });
        assert!(rules.is_drawing() && rules.across.len() <= MOST + 1);
        assert!(rules.joined().0.is_empty());
    }
}
