//! Tables with a rule below every row and none between columns: white stripes divide those.

use super::super::Segment;
use super::aligned::Signs;
use super::grid::Grid;
use super::strip::{CELL_STEP, CellRow, Strip};
use crate::pdf::glyphs::{Direction, Glyphs};
use crate::pdf::rules::{Rule, TOUCH};

/// How far above the first rule the names of the columns may stand, in ems.
const NAMES: f32 = 2.2;

/// More names than this are text.
const MOST_NAMES: usize = 60;

/// Fewer rows are the space between two headings or notes.
const LEAST_ROWS: usize = 3;

/// Rules of more widths than this are a drawing.
const MOST_WIDTHS: usize = 32;

/// The tables between rules of `across` that are equally long and above each other.
pub(super) fn find(across: &[Rule], segments: &[Segment], glyphs: &Glyphs) -> Vec<Grid> {
    let mut by_width: Vec<Vec<Rule>> = Vec::new();
    for rule in across {
        let near = |a: f32, b: f32| (a - b).abs() <= TOUCH;
        let is_own =
            |rules: &&mut Vec<Rule>| near(rules[0].from, rule.from) && near(rules[0].to, rule.to);
        match by_width.iter_mut().find(is_own) {
            Some(rules) => rules.push(*rule),
            None => by_width.push(vec![*rule]),
        }
    }
    by_width.retain(|rules| rules.len() >= LEAST_ROWS);
    by_width.truncate(MOST_WIDTHS);
    by_width.iter().flat_map(|rules| Bands::new(rules, segments, glyphs).grids()).collect()
}

/// What stands between rules that are equally long.
struct Bands<'a> {
    glyphs: &'a Glyphs,
    /// From top to bottom.
    rules: Vec<f32>,
    left: f32,
    right: f32,
    /// For each band, which begins with a rule of the same number, what stands there.
    within: Vec<Vec<&'a Segment>>,
}

impl<'a> Bands<'a> {
    fn new(rules: &[Rule], segments: &'a [Segment], glyphs: &'a Glyphs) -> Self {
        let (left, right) = (rules[0].from, rules[0].to);
        let mut rules: Vec<f32> = rules.iter().map(|rule| rule.at).collect();
        rules.sort_by(f32::total_cmp);
        rules.dedup_by(|next, kept| *next - *kept <= TOUCH);
        // The first one is above all rules.
        let mut within = vec![Vec::new(); rules.len() + 1];
        let is_between = |segment: &&Segment| {
            let slack = segment.size;
            segment.direction == Direction::Across
                && segment.left >= left - slack
                && segment.right <= right + slack
        };
        for segment in segments.iter().filter(is_between) {
            let middle = segment.baseline - 0.3 * segment.size;
            within[rules.partition_point(|rule| *rule <= middle)].push(segment);
        }
        Self { glyphs, rules, left, right, within }
    }

    fn grids(&self) -> Vec<Grid> {
        let mut grids = Vec::new();
        let mut at = 1;
        while at < self.rules.len() {
            let (end, stripes) = self.run(at);
            grids.extend(self.grid(at, end, &stripes));
            at = end.max(at + 1);
        }
        grids
    }

    fn strip(&self, at: usize) -> Option<Strip> {
        Strip::of(self.within[at].iter().copied(), self.glyphs)
    }

    /// The bands from `start` on that share stripes: the one they end before, and the stripes.
    fn run(&self, start: usize) -> (usize, Vec<(f32, f32)>) {
        let Some(mut stripes) = self.strip(start).map(|strip| strip.stripes()) else {
            return (start, Vec::new());
        };
        let mut end = start + 1;
        // The last rule has no band below it that another one ends.
        while end < self.rules.len() && !stripes.is_empty() {
            let Some(strip) = self.strip(end) else { break };
            let clear = strip.clear(&stripes);
            if clear.len() < stripes.len() || strip.cells(&clear).filled() < 2 {
                break;
            }
            stripes = clear;
            end += 1;
        }
        (end, stripes)
    }

    fn grid(&self, start: usize, end: usize, stripes: &[(f32, f32)]) -> Option<Grid> {
        let names = self.names_above(start, stripes);
        let rows = end - start + usize::from(names.is_some());
        if stripes.is_empty() || rows < LEAST_ROWS || !self.are_cells(start, end, stripes) {
            return None;
        }
        let ys = names.into_iter().chain(self.rules[start - 1..end].iter().copied()).collect();
        let middles = stripes.iter().map(|(from, to)| (from + to) / 2.0);
        let xs = [self.left].into_iter().chain(middles).chain([self.right]).collect();
        Some(Grid::whole(xs, ys))
    }

    fn are_cells(&self, start: usize, end: usize, stripes: &[(f32, f32)]) -> bool {
        let strips: Vec<Strip> = (start..end).filter_map(|at| self.strip(at)).collect();
        let lines: Vec<CellRow<'_>> = strips.iter().map(|strip| strip.cells(stripes)).collect();
        Signs { lines: &lines, rules: end - start, glyphs: self.glyphs }.are_of_cells()
    }

    /// The top of the lines above the first rule, if they leave the stripes free and have text in
    /// several columns.
    fn names_above(&self, start: usize, stripes: &[(f32, f32)]) -> Option<f32> {
        let mut above = self.within[start - 1].clone();
        above.sort_by(|a, b| b.baseline.total_cmp(&a.baseline));
        let mut top = self.rules[start - 1];
        let mut step = NAMES;
        let mut names: Vec<&Segment> = Vec::new();
        for segment in above {
            if top - segment.baseline >= step * segment.size {
                break;
            }
            let strip = Strip::of([segment].into_iter(), self.glyphs)?;
            // Half of the names would be worse than none.
            if strip.clear(stripes).len() < stripes.len() || names.len() >= MOST_NAMES {
                return None;
            }
            (top, step) = (segment.baseline, CELL_STEP);
            names.push(segment);
        }
        let strip = Strip::of(names.iter().copied(), self.glyphs)?;
        let top = names.iter().map(|segment| segment.baseline - segment.size);
        (strip.cells(stripes).filled() >= 2).then(|| top.fold(f32::INFINITY, f32::min))
    }
}
