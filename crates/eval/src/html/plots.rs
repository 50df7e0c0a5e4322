//! Drawings for the page, as SVG: recall by depth, quality against latency, differences.

use super::escape;

/// As many colors as the style has; further series begin again, with other dashes.
const COLORS: usize = 6;

const DASHES: [&str; 3] = ["none", "7 4", "2 3"];

/// Where the drawing is, within its margins for labels.
struct Frame {
    width: f64,
    height: f64,
}

const LEFT: f64 = 46.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;

impl Frame {
    const PLOT: Self = Self { width: 520.0, height: 320.0 };
    const BARS: Self = Self { width: 1100.0, height: 240.0 };

    /// `share` 0 is left, 1 right.
    fn x(&self, share: f64) -> f64 {
        LEFT + (self.width - LEFT - RIGHT) * share
    }

    /// `share` 0 is below, 1 above.
    fn y(&self, share: f64) -> f64 {
        self.height - BOTTOM - (self.height - TOP - BOTTOM) * share
    }

    fn svg(&self, label: &str, content: &str) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{content}</svg>",
            escape(label)
        )
    }

    /// Lines at each of `marks`, which are shares of the height and what to write beside them.
    fn rows(&self, marks: &[(f64, String)]) -> String {
        let (left, right) = (self.x(0.0), self.x(1.0));
        let row = |(share, label): &(f64, String)| {
            let y = self.y(*share);
            format!(
                "<line class=\"axis\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                left - 6.0,
                y + 4.0
            )
        };
        marks.iter().map(row).collect()
    }

    fn columns(&self, marks: &[(f64, String)]) -> String {
        let y = self.height - 10.0;
        let column = |(share, label): &(f64, String)| {
            let x = self.x(*share);
            format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>")
        };
        marks.iter().map(column).collect()
    }
}

/// A line through points.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    /// Depths of at least 1, and shares of 1.
    pub(super) points: Vec<(f64, f64)>,
}

/// Recall by depth, the depths on a logarithmic scale.
pub(super) fn curves(curves: &[Curve<'_>]) -> String {
    let frame = Frame::PLOT;
    let depths: Vec<f64> =
        curves.iter().flat_map(|it| &it.points).map(|(depth, _)| *depth).collect();
    let deepest = depths.iter().copied().fold(10.0, f64::max);
    let x = |depth: f64| frame.x(depth.ln() / deepest.ln());
    let quarters: Vec<_> =
        (0..=4).map(|at| f64::from(at) / 4.0).map(|at| (at, format!("{at:.2}"))).collect();
    let marks = [1.0, 3.0, 10.0, 30.0, 100.0].into_iter().filter(|mark| *mark <= deepest);
    let marks: Vec<_> = marks.map(|mark| (mark.ln() / deepest.ln(), format!("{mark}"))).collect();
    let mut content = frame.rows(&quarters) + &frame.columns(&marks);
    for (at, curve) in curves.iter().enumerate() {
        let points: Vec<String> = curve
            .points
            .iter()
            .map(|(depth, share)| format!("{:.1},{:.1}", x(*depth), frame.y(*share)))
            .collect();
        let (color, dashes) = (at % COLORS, DASHES[at / COLORS % DASHES.len()]);
        content.push_str(&format!(
            "<polyline class=\"line s{color}\" stroke-dasharray=\"{dashes}\" points=\"{}\">\
             <title>{}</title></polyline>",
            points.join(" "),
            escape(curve.name)
        ));
        content.push_str(&legend(&frame, at, curve.name));
    }
    frame.svg("recall by depth", &content)
}

/// The name of the series at `at`, in its color, at the lower right.
fn legend(frame: &Frame, at: usize, name: &str) -> String {
    let (x, y) = (frame.x(1.0) - 6.0, frame.y(0.04) - 16.0 * at as f64);
    let color = at % COLORS;
    format!(
        "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>\
         <circle class=\"f{color}\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\"/>",
        x - 10.0,
        escape(&shortened(name)),
        y - 4.0
    )
}

fn shortened(name: &str) -> String {
    const MOST: usize = 48;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// A pipeline's quality and its cost.
pub(super) struct Point<'a> {
    pub(super) name: &'a str,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) interval: [f64; 2],
}

/// Quality against latency, with the interval of the quality.
pub(super) fn points(points: &[Point<'_>]) -> String {
    let frame = Frame::PLOT;
    let slowest = points.iter().map(|it| it.x).fold(0.001, f64::max) * 1.15;
    let low = points.iter().map(|it| it.interval[0].min(it.y)).fold(1.0, f64::min);
    let high = points.iter().map(|it| it.interval[1].max(it.y)).fold(0.0, f64::max);
    let range = (high - low).max(0.01);
    let (low, range) = (low - range * 0.1, range * 1.2);
    let y = |value: f64| frame.y((value - low) / range);
    let rows: Vec<_> = (0..=4)
        .map(|at| f64::from(at) / 4.0)
        .map(|at| (at, format!("{:.3}", low + range * at)))
        .collect();
    let columns: Vec<_> = (0..=4)
        .map(|at| f64::from(at) / 4.0)
        .map(|at| (at, format!("{:.1}", slowest * at)))
        .collect();
    let mut content = frame.rows(&rows) + &frame.columns(&columns);
    for (at, point) in points.iter().enumerate() {
        let (x, color) = (frame.x(point.x / slowest), at % COLORS);
        let [from, to] = point.interval.map(y);
        let (title, middle) = (escape(point.name), y(point.y));
        content.push_str(&format!(
            "<g><title>{title}: {:.4}, {:.1} ms</title>\
             <line class=\"s{color}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\"/>\
             <circle class=\"f{color}\" cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"5\"/></g>",
            point.y, point.x
        ));
        content.push_str(&legend(&frame, at, point.name));
    }
    frame.svg("quality against latency", &content)
}

/// A query's difference.
pub(super) struct Bar {
    pub(super) title: String,
    pub(super) by: f64,
}

/// Differences as bars from a line of 0, in the order given.
pub(super) fn bars(bars: &[Bar]) -> String {
    let frame = Frame::BARS;
    let largest = bars.iter().map(|bar| bar.by.abs()).fold(0.0, f64::max);
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let rows: Vec<_> = [-1.0, -0.5, 0.0, 0.5, 1.0]
        .map(|at| ((at + 1.0) / 2.0, format!("{:+.2}", at * scale)))
        .into();
    let mut content = frame.rows(&rows);
    let each = 1.0 / bars.len().max(1) as f64;
    for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.by != 0.0) {
        let (left, right) = (frame.x(each * at as f64), frame.x(each * (at + 1) as f64));
        let (zero, end) = (frame.y(0.5), frame.y((bar.by / scale + 1.0) / 2.0));
        let class = if bar.by > 0.0 { "up" } else { "down" };
        content.push_str(&format!(
            "<rect class=\"{class}\" x=\"{left:.2}\" width=\"{:.2}\" y=\"{:.2}\" height=\"{:.2}\">\
             <title>{}</title></rect>",
            right - left,
            zero.min(end),
            (zero - end).abs(),
            escape(&bar.title)
        ));
    }
    let (left, right, zero) = (frame.x(0.0), frame.x(1.0), frame.y(0.5));
    content.push_str(&format!(
        "<line class=\"zero\" x1=\"{left}\" x2=\"{right}\" y1=\"{zero}\" y2=\"{zero}\"/>"
    ));
    frame.svg("differences, query by query", &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_draw_is_no_nonsense() {
        for drawn in [curves(&[]), points(&[]), bars(&[])] {
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        }
        let still = Point { name: "", x: 0.0, y: 0.0, interval: [0.0, 0.0] };
        assert!(!points(&[still]).contains("NaN"));
    }

    #[test]
    fn bars_stand_on_the_line_and_hang_from_it() {
        let bar = |by| Bar { title: "q".into(), by };
        let drawn = bars(&[bar(0.5), bar(0.0), bar(-0.25)]);
        assert_eq!(drawn.matches("<rect").count(), 2);
        assert!(drawn.contains("class=\"up\"") && drawn.contains("class=\"down\""));
        assert!(drawn.contains("y=\"12.00\" height=\"99.00\""), "{drawn}");
        assert!(drawn.contains("y=\"111.00\" height=\"49.50\""), "{drawn}");
    }
}
